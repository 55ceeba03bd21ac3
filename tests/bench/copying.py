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

"""How fast a volume is copied, beside what else could copy it.

A volume of 4 GiB holds 512 MiB in scattered extents. It is a loop device
over the file that a simulated cluster keeps it in, and so is each target,
which is new for every run. Measured in turn, several times: this project's
copy with the cluster telling the blocks that hold data; without, so that all
is read; ``dd`` exactly as Cinder calls it; and ``qemu-img convert`` with many
requests under way, if there is a qemu-img.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import contextlib
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any
import uuid as uuidlib

from cinder.volume import volume_utils
from oslo_concurrency import processutils

from cinder_lightbits_federation.copy import devices
from cinder_lightbits_federation.copy import discovery
from cinder_lightbits_federation.copy import privileged
from cinder_lightbits_federation.lightbits import model
from tests.bench import copier
from tests.bench import environment as env
from tests.bench import report
from tests.copying import files
from tests.simulator.control import Simulator

MIB = 1 << 20
SIZE = 4 << 30
DATA = 512 << 20
# Extents of 4 KiB to 256 KiB: what databases and file systems leave.
PIECES = (4096, 65536, 262144)
ROUNDS = 3
MEMORY = '/dev/shm'  # noqa: S108 (a file system in memory)

Copy = Callable[[devices.Device, devices.Device], tuple[float, int]]
"""Gives the seconds it took and the bytes it moved."""


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True,
                          text=True).stdout.strip()


def _scatter(path: str) -> None:
    """Fill a file with random data in places that do not touch."""
    rng = random.Random(4)
    slots = rng.sample(range(SIZE // max(PIECES) // 2),
                       k=SIZE // max(PIECES) // 2)
    left = DATA
    with open(path, 'r+b') as file:
        while left:
            size = min(rng.choice(PIECES), left)
            start = slots.pop() * 2 * max(PIECES)
            file.seek(start)
            file.write(rng.randbytes(size))
            left -= size


class Bed:
    """Loop devices in the place of NVMe namespaces, and who copies.

    :param folder: for the targets, on the file system of the source.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.file = folder / 'target'
        self._number = 0
        for name in ('dev', 'sys'):
            (folder / name).mkdir()
        privileged.DEVICES = folder / 'dev'
        privileged.SYSFS = folder / 'sys'

    @contextlib.contextmanager
    def device(self, path: str) -> Iterator[devices.Device]:
        """A file as a namespace with a UUID."""
        loop = _run('losetup', '--find', '--show', path)
        uuid = str(uuidlib.uuid4())
        self._number += 1
        link = privileged.DEVICES / f'nvme{self._number}n1'
        os.mknod(link, 0o600 | 0o060000, os.stat(loop).st_rdev)
        number = os.stat(loop).st_rdev
        facts = (privileged.SYSFS / 'dev' / 'block'
                 / f'{os.major(number)}:{os.minor(number)}')
        facts.mkdir(parents=True, exist_ok=True)
        (facts / 'uuid').write_text(uuid)
        try:
            yield devices.Device(str(link), uuid)
        finally:
            link.unlink()
            _run('losetup', '--detach', loop)

    @contextlib.contextmanager
    def target(self) -> Iterator[devices.Device]:
        """A new, thin volume."""
        with self.file.open('xb') as file:
            file.truncate(SIZE)
        try:
            with self.device(str(self.file)) as device:
                yield device
        finally:
            self.file.unlink()


def _timed(copy: Callable[[devices.Device, devices.Device], None]) -> Copy:
    def timed(source: devices.Device, target: devices.Device
              ) -> tuple[float, int]:
        begun = time.monotonic()
        copy(source, target)
        return time.monotonic() - begun, SIZE

    return timed


def _ours(ask: discovery.AskPage | None) -> Copy:
    """:returns: the project's copy; asking for the blocks counts too."""
    def copy(source: devices.Device, target: devices.Device
             ) -> tuple[float, int]:
        begun = time.monotonic()
        extents = list(discovery.everything(SIZE, 0) if ask is None
                       else discovery.Changes(ask, SIZE).since(0))
        asked = time.monotonic() - begun
        order = {'devices': str(privileged.DEVICES),
                 'sysfs': str(privileged.SYSFS),
                 'volumes': [(item.path, item.uuid)
                             for item in (source, target)],
                 'extents': extents}
        seconds, moved = json.loads(subprocess.run(
            [sys.executable, '-W', 'ignore', '-m', copier.__name__],
            input=json.dumps(order), check=True, stdout=subprocess.PIPE,
            text=True).stdout)
        return asked + seconds, moved

    return copy


def _dd(source: devices.Device, target: devices.Device) -> None:
    def execute(*command: str, run_as_root: bool = False) -> Any:
        return processutils.execute(*command)

    volume_utils.copy_volume(source.path, target.path, SIZE // MIB, '1M',
                             sync=True, execute=execute)


def _qemu(program: str) -> Copy:
    def copy(source: devices.Device, target: devices.Device) -> None:
        _run(program, 'convert', '-n', '-W', '-m', '16', '-t', 'none', '-T',
             'none', '-f', 'raw', '-O', 'raw', source.path, target.path)

    return _timed(copy)


def _pages(array: Any, snapshot: str) -> discovery.AskPage:
    def ask(lba: int) -> model.ChangedBlocks:
        reply = array.request(
            'GET', f'/api/v2/projects/default/snapshots/diff/{snapshot}'
            f'?offsetLBA={lba}')
        return model.ChangedBlocks.from_json(reply.json())

    return ask


def _made(array: Any) -> tuple[str, discovery.AskPage]:
    """A volume with data, and what its cluster tells of the blocks."""
    volume = array.request('POST', '/api/v2/projects/default/volumes', {
        'name': 'source', 'size': str(SIZE), 'replicaCount': 1,
        'acl': {'values': ['ALLOW_NONE']}}).json()['UUID']
    path = array.data_path(volume)
    _scatter(path)
    snapshot = array.request('POST', '/api/v2/projects/default/snapshots', {
        'name': 'frozen', 'sourceVolumeUUID': volume}).json()['UUID']
    return path, _pages(array, snapshot)


def run(_bench: env.Environment, quick: bool) -> dict[str, Any]:
    """:returns: seconds of each way, and bytes that were moved."""
    folder = pathlib.Path(tempfile.mkdtemp(
        dir=MEMORY if os.path.isdir(MEMORY) else None))
    simulator = Simulator.start(str(folder / 'clusters'))
    try:
        array = simulator.add_cluster('copy', nodes=1, data_plane='sparse')
        path, ask = _made(array)
        bed = Bed(folder)
        with bed.device(path) as source:
            return _measure(bed, source, _ways(ask), files.content(path),
                            1 if quick else ROUNDS)
    finally:
        simulator.stop()
        shutil.rmtree(folder)


def _ways(ask: discovery.AskPage) -> dict[str, Copy]:
    ways = {'copy, blocks told': _ours(ask), 'copy, all read': _ours(None),
            'dd as Cinder calls it': _timed(_dd)}
    program = shutil.which('qemu-img')
    if program:
        ways['qemu-img convert -n -W -m 16'] = _qemu(program)
    return ways


def _measure(bed: Bed, source: devices.Device, ways: dict[str, Copy],
             wanted: tuple[int, str], rounds: int) -> dict[str, Any]:
    taken: dict[str, list[float]] = {name: [] for name in ways}
    moved: dict[str, int] = {}
    for number in range(rounds):
        for name, copy in ways.items():
            with bed.target() as target:
                seconds, moved[name] = copy(source, target)
                taken[name].append(seconds)
                os.sync()
                if not number and files.content(bed.file) != wanted:
                    raise AssertionError(f'{name} made another volume')
    others = [statistics.median(seconds) for name, seconds in taken.items()
              if not name.startswith('copy')]
    return {'allocated': DATA, 'size': SIZE, 'ways': [
        {'way': name, 'seconds': seconds,
         'moved_to_allocated': moved[name] / DATA,
         'speed_to_best_other': min(others) / statistics.median(seconds)}
        for name, seconds in taken.items()]}


def show(figures: Mapping[str, Any]) -> str:
    """How long each way to copy a volume took."""
    size = figures['size'] / 2**20
    rows = [(one['way'], report.spread(one['seconds']),
             f'{size / statistics.median(one["seconds"]):.0f}',
             f'{one["moved_to_allocated"]:.2f}',
             f'{one["speed_to_best_other"]:.2f}')
            for one in figures['ways']]
    return report.table(('way', 's', 'MiB of volume/s', 'moved : allocated',
                  'speed : best of the others'), rows)
