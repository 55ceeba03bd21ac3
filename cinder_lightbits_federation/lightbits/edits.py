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

"""Read, decide, write if unchanged, and look again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import timing

# A volume, and what is still to be changed of it.
Seen = tuple[model.Volume, model.VolumeChange | None]

# What a call raises when the deadline ends it.
_OUT_OF_TIME = (errors.Unreachable, errors.Unavailable,
                errors.TooManyRequests)


class Volumes(Protocol):
    """The two calls that an edit needs."""

    def get_volume(self, project: str, uuid: str, *,
                   deadline: timing.Deadline | None = None) -> model.Volume:
        """See `volumes.VolumeCalls`."""

    def change_volume(self, project: str, uuid: str,
                      change: model.VolumeChange, *, etag: str | None,
                      deadline: timing.Deadline | None = None) -> None:
        """See `volumes.VolumeCalls`."""


class Edit:
    """One compare-and-swap loop over a volume; used once.

    Needs no lock: a change is written only to the version that the hook
    has seen, and every doubt about a write ends in another look.

    :param pace: how long changes usually take on this cluster; learns.
    """

    def __init__(self, calls: Volumes, project: str, uuid: str,
                 hook: Callable[[model.Volume], model.VolumeChange | None],
                 deadline: timing.Deadline, pace: timing.Pace) -> None:
        self._calls = calls
        self._project = project
        self._uuid = uuid
        self._hook = hook
        self._deadline = deadline
        # For waiting; what is left after it is for one more look.
        self._enough = deadline.before_last_look()
        self._what = f'volume {uuid} to change'
        self._pace = pace
        self._volume: model.Volume | None = None
        # The versions (ETags) that a write was last refused for, accepted
        # for, and had an unknown outcome for.
        self._refused: str | None = None
        self._accepted: str | None = None
        self._doubted: str | None = None
        self._trouble: errors.LightbitsError | None = None
        self._perhaps_done = False

    def run(self) -> model.Volume:
        """See `volumes.VolumeCalls.update_volume`.

        :raises Ambiguous: a write may have been applied; what it says after
            the colon is what has ended the edit.
        """
        try:
            return self._until_done()
        except (errors.Ambiguous, errors.NotFound):
            raise
        except errors.LightbitsError as error:
            if not self._perhaps_done:
                raise
            raise errors.Ambiguous(
                f'volume {self._uuid} may have been changed: {error}',
                cluster=error.cluster, operation='volumes.update') from error

    def _until_done(self) -> model.Volume:
        try:
            return timing.wait_until(self._step, self._enough, self._what,
                                     last=self._last_state)
        except _OUT_OF_TIME as error:
            if self._volume is None or not self._deadline.expired():
                raise
            raise timing.DeadlineExceeded(
                self._what, self._last_state()) from error

    def _step(self) -> model.Volume | None:
        """Look and act once; ends with a look after its own write."""
        volume, change = self._look()
        # While a change is under way its result is not visible yet.
        if (change is not None and volume.state.settled
                and not self._lags(volume)
                and self._write(volume, change)):
            volume, change = timing.wait_until(
                self._settled, self._enough, self._what,
                last=self._last_state, pace=self._pace)
        if change is not None or not volume.state.settled:
            return None
        return volume

    def _settled(self) -> Seen | None:
        """Look once: is anything still under way?"""
        volume, change = self._look()
        if not volume.state.settled or (
                change is not None and self._lags(volume)):
            return None
        return volume, change

    def _lags(self, volume: model.Volume) -> bool:
        """Whether this is the version from before a write that was accepted.

        Servers may answer from what they knew a moment ago. Writing to that
        version again would be refused, perhaps with a 400 that looks final.
        """
        return volume.etag == self._accepted

    def _look(self) -> Seen:
        """:raises BadRequest: the state can never become as wanted."""
        volume = self._volume = self._calls.get_volume(
            self._project, self._uuid, deadline=self._deadline)
        if volume.state.going or volume.state is model.VolumeState.FAILED:
            raise errors.BadRequest(
                f'volume {self._uuid} is {volume.state.value}', status=400,
                operation='volumes.update')
        return volume, self._hook(volume)

    def _write(self, volume: model.Volume,
               change: model.VolumeChange) -> bool:
        """:returns: whether it may have been applied."""
        try:
            self._calls.change_volume(
                self._project, self._uuid, change, etag=volume.etag,
                deadline=self._deadline)
        except errors.Ambiguous as error:
            self._trouble = error
            self._doubted = volume.etag
        except (errors.Conflict, errors.PreconditionFailed) as error:
            self._trouble = error
            return False
        except errors.BadRequest as error:
            self._trouble = error
            self._judge(volume, error)
            return False
        else:
            self._accepted = volume.etag
        self._perhaps_done = True
        return True

    def _judge(self, volume: model.Volume, error: errors.BadRequest) -> None:
        """Decide whether a 400 is final.

        It may stand for a mismatch of the ETag or for a passing state. It
        is final once the same version was refused twice; only settled
        versions are written to. Of a version that an earlier write may have
        replaced it proves nothing, as long as looks may lag behind.

        :raises BadRequest: it is.
        """
        if self._refused == volume.etag != self._doubted:
            raise error
        self._refused = volume.etag

    def _last_state(self) -> str | None:
        volume = self._volume
        if volume is None:
            return None
        trouble = '' if self._trouble is None else f', {self._trouble}'
        return f'state {volume.state.value}, ETag {volume.etag}{trouble}'
