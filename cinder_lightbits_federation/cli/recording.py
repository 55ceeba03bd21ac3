# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What a command does as a job, so that others see it and nobody joins in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
from typing import Any

from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation import errors


@contextlib.contextmanager
def recorded(command: base.CommandMixin, kind: str, subject: str,
             parameters: Mapping[str, Any]) -> Iterator[None]:
    """Do the body as a job, which ends as the body does.

    Where jobs cannot be written down, the body is done all the same, and
    the operator is told.

    :param subject: there is one job of a kind for each at a time.
    :raises AlreadyUnderWay: another process does it.
    """
    desk = command.session.shared.desk
    try:
        held = desk.begin(kind, subject, parameters)
    except errors.StoreUnavailable as exc:
        command.say(f'This will not be among the jobs: {exc}')
        yield
        return
    with desk.ending(held):
        yield
