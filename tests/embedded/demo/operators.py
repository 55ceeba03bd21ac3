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

"""The cloud's operator: runs ``openstack`` and shows what was run."""

from __future__ import annotations

from collections.abc import Sequence
import time
from typing import Any

from tests.embedded import cli
from tests.embedded.demo import console
from tests.embedded import waiting

_DONE = frozenset({'available', 'in-use'})


class Operator:
    """Runs commands, each or several in a process."""

    def __init__(self, client: cli.OpenStackClient, sdk: Any,
                 out: console.Console) -> None:
        self._client = client
        self._sdk = sdk
        self._out = out

    def run(self, *words: str) -> str:
        """Run a command and return its output.

        :raises CommandFailed: its status is not 0.
        """
        begin = time.monotonic()
        try:
            return self._client.text(*words)
        finally:
            self._out.command(('openstack', *words),
                              time.monotonic() - begin)

    def read(self, *words: str) -> Any:
        """Run a command that shows or lists and return its result.

        :raises CommandFailed: its status is not 0.
        """
        begin = time.monotonic()
        try:
            return self._client.json(*words)
        finally:
            self._out.command(('openstack', *words),
                              time.monotonic() - begin)

    def run_all(self, commands: Sequence[Sequence[str]]) -> None:
        """Run commands in one process.

        :raises CommandFailed: one of them failed.
        """
        begin = time.monotonic()
        try:
            self._client.batch(commands)
        finally:
            self._out.batch(commands, time.monotonic() - begin)

    def create_volumes(self, wanted: Sequence[tuple[str, Sequence[str]]]
                       ) -> None:
        """Create volumes and wait until each is available.

        :param wanted: a name and the options of its command.
        """
        self.run_all([('volume', 'create', *options, name)
                      for name, options in wanted])
        for name, _options in wanted:
            self.settled(name, _DONE)

    def settled(self, name: str, wanted: frozenset[str]) -> Any:
        """Wait for a volume's status and return the volume.

        :raises WaitedTooLong: its status stays another.
        """
        def look() -> Any:
            volume = self._sdk.find_volume(name, ignore_missing=False)
            return volume if volume.status in wanted | {'error'} else None

        volume = waiting.wait_for(look, f'{name} to be {sorted(wanted)}')
        console.expect(volume.status in wanted,
                       f'{name} is {volume.status}')
        return volume

    def gone(self, name: str) -> None:
        """Wait until a volume does not exist any more."""
        waiting.wait_for(
            lambda: self._sdk.find_volume(name, ignore_missing=True) is None,
            f'{name} to be gone')

    def snapshot_taken(self, name: str) -> None:
        """Wait until a snapshot can be used."""
        waiting.wait_for(
            lambda: self._sdk.find_snapshot(
                name, ignore_missing=False).status == 'available',
            f'{name} to be available')

    def snapshot_gone(self, name: str) -> None:
        """Wait until a snapshot does not exist any more."""
        waiting.wait_for(
            lambda: self._sdk.find_snapshot(
                name, ignore_missing=True) is None,
            f'{name} to be gone')
