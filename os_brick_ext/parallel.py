# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Doing the same with many things at the same time."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from concurrent import futures
from typing import TypeVar

from oslo_context import context

T = TypeVar('T')

WORKERS = 8


def each(act: Callable[[T], None], items: Iterable[T]) -> None:
    """Do something with all items at the same time; the first error goes up.

    One that does not answer holds up none of the others. The threads log
    with the caller's request id.
    """
    current = context.get_current()

    def run(item: T) -> None:
        if current is not None:
            current.update_store()
        act(item)

    with futures.ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(run, items))
