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

"""Doing things at the same time, in threads of their own.

The threads log with the request id of whoever started them, and a process
that ends does not wait for them: nobody knows when a node that hangs will
answer.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import threading
from typing import TypeVar

from oslo_context import context
from oslo_log import log as logging

LOG = logging.getLogger(__name__)

T = TypeVar('T')

# As many steps as the privileged daemon takes at the same time.
WORKERS = 64


def each(act: Callable[[T], None], items: Iterable[T]) -> None:
    """Do something with all items at the same time, and wait for the end.

    One that does not answer holds up none of the others, unless there are as
    many of these as `WORKERS`. All are done, whatever is raised.

    :raises Exception: what was raised first; the rest is logged.
    """
    waiting = collections.deque(items)
    problems: list[Exception] = []

    def taken() -> Iterator[T]:
        with contextlib.suppress(IndexError):
            while True:
                yield waiting.popleft()

    def work() -> None:
        for item in taken():
            try:
                act(item)
            except Exception as exc:  # A thread's top: the first goes up.
                if problems:
                    LOG.exception('Another error at the same time:')
                problems.append(exc)

    threads: list[threading.Thread] = []
    # Where the system has no more threads, those that there are do it all.
    with contextlib.suppress(RuntimeError):
        for _other in range(min(len(waiting), WORKERS) - 1):
            threads.append(aside(work))
    work()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def aside(act: Callable[[], object]) -> threading.Thread:
    """Do something while the caller goes on.

    :param act: is to let nothing be raised.
    :returns: the thread that does it.
    :raises RuntimeError: the system has no thread for it.
    """
    current = context.get_current()

    def run() -> None:
        if current is not None:
            current.update_store()
        act()

    thread = threading.Thread(target=run, daemon=True, name='os-brick-ext')
    thread.start()
    return thread
