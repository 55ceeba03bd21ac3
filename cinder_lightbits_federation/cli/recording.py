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
from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import InterruptedCommand
from cinder_lightbits_federation.cli.progress import Bar
from cinder_lightbits_federation.copy.errors import Cancelled
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.jobs.claims import HeldJob
from cinder_lightbits_federation.jobs import commands


class Steps:
    """The steps of a command, shown on a terminal and kept in its job.

    :param held: None where there is no job.
    """

    def __init__(self, bar: Bar, total: int, held: HeldJob | None) -> None:
        self._bar = bar
        self._total = total
        self._held = held
        self._done = 0

    def begin(self, step: str) -> None:
        """Go on to a step; those before it are done.

        :raises Cancelled: the end of the job was asked for.
        """
        if self._held is not None:
            self._held.save({commands.STEP: step}, self._done, self._total)
        if self._done:
            self._bar.step()
        self._done += 1


@contextlib.contextmanager
def shown(command: base.CommandMixin, total: int) -> Iterator[Steps]:
    """Show the steps of the body, which is no job.

    :param total: how many there are.
    """
    bar = Bar(command.app.stderr, total, 'steps')
    with contextlib.closing(bar):
        yield Steps(bar, total, None)


@contextlib.contextmanager
def recorded(command: base.CommandMixin, kind: str, subject: str,
             parameters: Mapping[str, Any], total: int) -> Iterator[Steps]:
    """Do the body as a job, which ends as the body does.

    Where jobs cannot be written down, the body is done all the same, and
    the operator is told.

    :param subject: there is one job of a kind for each at a time.
    :param total: steps there are.
    :raises AlreadyUnderWay: another process does it.
    :raises FailedError: it was cancelled.
    :raises InterruptedCommand: it was interrupted.
    """
    desk = command.session.shared.desk
    try:
        held = desk.begin(kind, subject, {
            **parameters, commands.COMMAND: command.app.given})
    except errors.StoreUnavailable as exc:
        command.say(f'This will not be among the jobs: {exc}')
        with shown(command, total) as steps:
            yield steps
        return
    try:
        with (desk.ending(held), _interruptible(),
              contextlib.closing(Bar(command.app.stderr, total, 'steps'))
              as bar):
            yield Steps(bar, total, held)
    except Cancelled:
        raise FailedError(f'job {held.job.id} was cancelled: nothing was '
                          f'changed') from None


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Have an interrupt end the job, too; the same command goes on."""
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedCommand('interrupted; give the command again to go '
                                 'on') from None
