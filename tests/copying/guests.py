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
"""A host's disks without a hypervisor: ``qemu-storage-daemon`` has them.

It serves a volume to a guest, and copies it to another one while the guest
goes on, by the same code as in a hypervisor.
"""

from __future__ import annotations

import asyncio
import pathlib
import random
import subprocess
import threading
from typing import cast

from qemu import qmp

from tests.stack import daemons
from tests.stack import programs

BLOCK = 4096
MIB = 1 << 20

_JOB = 'swap'
_EXPORT = 'disk'
_PATTERNS = 255
# Between writes, in seconds: what is written while all is copied counts as
# copied, too, at the rate of the copy.
_PAUSE = 0.005


class SwapFailed(AssertionError):
    """The guest still has the volume it had."""


class Disk:
    """A volume as a disk of a guest.

    :param folder: takes sockets and a log; keep its path short.
    :param device: file or device of the volume.
    """

    def __init__(self, folder: pathlib.Path, device: str,
                 guard: daemons.Guard) -> None:
        self.device = device
        self._monitor = folder / 'qmp'
        self._socket = folder / 'nbd'
        self._daemon = daemons.Daemon(daemons.Program(
            'qemu-storage-daemon', [
                programs.find('qemu-storage-daemon'),
                '--blockdev', f'driver=file,node-name={_node(device)},'
                f'filename={device},discard=unmap',
                '--nbd-server', f'addr.type=unix,addr.path={self._socket}',
                '--export', f'type=nbd,id={_EXPORT},name={_EXPORT},'
                f'node-name={_node(device)},writable=on',
                '--chardev', f'socket,id=qmp,path={self._monitor},'
                'server=on,wait=off',
                '--monitor', 'chardev=qmp'],
            folder / 'log', self._monitor.exists), guard)

    @property
    def url(self) -> str:
        """Where a guest finds it."""
        return f'nbd+unix:///{_EXPORT}?socket={self._socket}'

    def start(self) -> None:
        """Serve it."""
        self._daemon.start()

    def stop(self) -> None:
        """Serve it no more; what was written is there. Idempotent."""
        self._daemon.stop()
        self._daemon.kill()

    def swap(self, device: str, rate: int) -> None:
        """Copy all to another volume and go on with that.

        :param rate: bytes per second.
        :raises SwapFailed: it cannot be copied.
        """
        asyncio.run(self._swap(device, rate))
        self.device = device

    async def _swap(self, device: str, rate: int) -> None:
        client = qmp.QMPClient()
        await client.connect(str(self._monitor))
        old, new = _node(self.device), _node(device)
        try:
            await client.execute('blockdev-add', {
                'driver': 'file', 'node-name': new, 'filename': device,
                'discard': 'unmap'})
            with client.listener(('JOB_STATUS_CHANGE',
                                  'BLOCK_JOB_COMPLETED')) as events:
                await client.execute('blockdev-mirror', {
                    'job-id': _JOB, 'device': old, 'target': new,
                    'sync': 'full', 'speed': rate,
                    'copy-mode': 'write-blocking'})
                error = await self._mirrored(client, events)
            await client.execute('blockdev-del', {
                'node-name': new if error else old})
        except qmp.ExecuteError as exc:
            raise SwapFailed(f'{device}: {exc}') from exc
        finally:
            await client.disconnect()
        if error:
            raise SwapFailed(f'{device}: {error}')

    @staticmethod
    async def _mirrored(client: qmp.QMPClient, events: qmp.EventListener
                        ) -> str | None:
        """Switch over when all is copied; return the error if it is not."""
        error = None
        async for event in events:
            data = cast('dict[str, str]', event['data'])
            if event['event'] == 'BLOCK_JOB_COMPLETED':
                error = data.get('error')
            elif data['status'] == 'ready':
                await client.execute('job-complete', {'id': _JOB})
            elif data['status'] == 'null':
                break
        return error


def _node(device: str) -> str:
    """Name a volume; the end of its UUID is unique enough here."""
    return f'v{pathlib.Path(device).name[-24:]}'


class Guest:
    """Writes blocks all over a disk, one after the other, until stopped.

    :param url: of the disk.
    :param size: of the disk in bytes.
    :ivar blocks: what each block was filled with last, by its number.
    :ivar writes: how many were done.
    """

    def __init__(self, url: str, size: int, seed: int = 1) -> None:
        self.blocks: dict[int, int] = {}
        self.writes = 0
        self._count = size // BLOCK
        self._random = random.Random(seed)
        self._error: Exception | None = None
        self._stopped = threading.Event()
        self._process = subprocess.Popen(
            [programs.find('qemu-io'), '-f', 'raw', url], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """End when all that was written is stable. Idempotent.

        :raises AssertionError: a write has failed.
        """
        self._stopped.set()
        self._thread.join()
        if self._process.poll() is None:
            self._process.communicate('flush\n', timeout=60)
        if self._error is not None:
            raise AssertionError('the guest had an error') from self._error

    def _run(self) -> None:
        try:
            while not self._stopped.wait(_PAUSE):
                self._write()
        except (AssertionError, OSError) as exc:
            self._error = exc

    def _write(self) -> None:
        block = self._random.randrange(self._count)
        pattern = self.writes % _PATTERNS + 1
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        # One at a time: it looks at its input only when that has news.
        stdin.write(f'write -P {pattern} {block * BLOCK} {BLOCK}\n')
        stdin.flush()
        told = stdout.readline()
        if f'wrote {BLOCK}/{BLOCK} bytes' not in told:
            raise AssertionError(told)
        stdout.readline()  # How fast that was.
        self.blocks[block] = pattern
        self.writes += 1
