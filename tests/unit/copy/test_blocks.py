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

"""Moving bytes: files, loop devices, zeros, and the privileged door."""

import os
import pathlib
import subprocess
import sys
import tempfile
import threading

import fixtures
from oslotest import base

from cinder_lightbits_federation.copy import blocks
from cinder_lightbits_federation.copy.extents import Extent
from cinder_lightbits_federation.copy import privileged
from tests.copying import files

MIB = files.MIB
UUID = '5e2b0c4a-0000-4000-8000-000000000001'
OTHER = '5e2b0c4a-0000-4000-8000-000000000002'

# As the daemon does, which is given the service's files.
SHOW_THREADS = '''
import tempfile
from oslo_config import cfg
from cinder_lightbits_federation.copy import privileged
for text in '', 'thread_pool_size = 7':
    with tempfile.NamedTemporaryFile('w', suffix='.conf') as file:
        print('[privsep_lightbits_copy]', text, sep='\\n', file=file,
              flush=True)
        cfg.CONF([], default_config_files=[file.name], default_config_dirs=[])
    print(cfg.CONF[privileged.SECTION].thread_pool_size)
'''


class FilesTestCase(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        # On disk: what is kept in memory knows no direct I/O.
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.source = files.thin(self.folder / 'source', 8 * MIB)
        self.target = files.thin(self.folder / 'target', 8 * MIB)
        self.mover = files.FileMover()

    def write(self, device, offset, data):
        with open(device.path, 'r+b') as file:
            file.seek(offset)
            file.write(data)

    def content(self, device):
        return pathlib.Path(device.path).read_bytes()

    def used(self, device):
        return os.stat(device.path).st_blocks * 512


class CopyTest(FilesTestCase):

    def test_extents_only(self):
        self.write(self.source, 0, b'a' * 3 * MIB)
        written = self.mover.copy(self.source, self.target,
                                  [Extent(4096, MIB), Extent(2 * MIB,
                                                             3 * MIB)], True)
        self.assertEqual(2 * MIB - 4096, written)
        self.assertEqual(
            bytes(4096) + b'a' * (MIB - 4096) + bytes(MIB) + b'a' * MIB
            + bytes(5 * MIB), self.content(self.target))

    def test_zeros_are_not_written_to_a_fresh_target(self):
        self.write(self.source, 3 * MIB, b'b' * 100_000)
        written = self.mover.copy(self.source, self.target,
                                  [Extent(0, 8 * MIB)], True)
        self.assertEqual(131072, written)
        self.assertEqual(self.content(self.source),
                         self.content(self.target))
        self.assertLessEqual(self.used(self.target), 262144)

    def test_a_used_target_is_cleared(self):
        self.write(self.target, 0, b'c' * 8 * MIB)
        self.write(self.source, 0, b'd' * 4096)
        self.mover.copy(self.source, self.target, [Extent(0, 4 * MIB)],
                        False)
        content = self.content(self.target)
        self.assertEqual(self.content(self.source)[:4 * MIB],
                         content[:4 * MIB])
        self.assertEqual(b'c' * 4 * MIB, content[4 * MIB:])

    def test_differences(self):
        self.write(self.source, 5 * MIB + 7, b'x')
        self.assertEqual([5 * MIB], self.mover.differing(
            self.source, self.target, [Extent(0, 8 * MIB)]))

    def test_a_source_that_ends_is_an_error(self):
        os.truncate(self.source.path, 3 * MIB)
        self.assertRaisesRegex(
            OSError, 'ends', self.mover.copy, self.source, self.target,
            [Extent(0, 8 * MIB)], True)

    def test_a_target_that_fails_is_an_error(self):
        with open(self.source.path, 'rb') as reading, \
                open(self.target.path, 'rb') as writing:
            self.write(self.source, 0, b'e' * 4096)
            self.assertRaises(OSError, blocks.copy, reading.fileno(),
                              writing.fileno(), [(0, 8 * MIB)], True)


class HangingTest(FilesTestCase):

    def test_others_go_on(self):
        self.write(self.source, 0, b'a' * 8 * MIB)
        dead = files.thin(self.folder / 'dead', 8 * MIB)
        lost = {os.stat(dead.path).st_ino}
        back, reached = threading.Event(), threading.Event()
        self.addCleanup(back.set)
        plain = os.preadv

        def preadv(descriptor, *args):
            if os.fstat(descriptor).st_ino in lost:
                reached.set()
                back.wait(60)
            return plain(descriptor, *args)

        self.useFixture(fixtures.MonkeyPatch('os.preadv', preadv))
        everything = [Extent(0, 8 * MIB)]
        aside = files.thin(self.folder / 'aside', 8 * MIB)
        hanging = [threading.Thread(target=self.mover.copy, args=(
            dead, aside, everything, True)) for _copy in range(4)]
        for thread in hanging:
            thread.start()
        self.assertTrue(reached.wait(60))
        self.mover.copy(self.source, self.target, everything, True)
        self.assertTrue(all(thread.is_alive() for thread in hanging))
        self.assertEqual(self.content(self.source),
                         self.content(self.target))
        back.set()
        for thread in hanging:
            thread.join(60)
            self.assertFalse(thread.is_alive())


class ThreadsTest(base.BaseTestCase):
    """How many calls the daemon takes, by default and as was chosen."""

    def test_more_than_processors(self):
        found = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', SHOW_THREADS], check=True,
            capture_output=True, text=True)
        self.assertEqual(['64', '7'], found.stdout.split())


def _loop(path: str) -> str:
    return subprocess.run(
        ['losetup', '--find', '--show', path], check=True,
        capture_output=True, text=True).stdout.strip()


class PrivilegedTest(FilesTestCase):
    """Loop devices in the place of NVMe namespaces."""

    def setUp(self):
        super().setUp()
        privileged.default.set_client_mode(False)
        self.addCleanup(privileged.default.set_client_mode, True)
        for name in ('SYSFS', 'DEVICES'):
            folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
            self.useFixture(fixtures.MonkeyPatch(
                f'{privileged.__name__}.{name}', folder))

    def namespace(self, name, device, uuid):
        try:
            loop = _loop(device.path)
        except (OSError, subprocess.CalledProcessError) as exc:
            self.skipTest(f'no loop devices here: {exc}')
        self.addCleanup(subprocess.run, ['losetup', '--detach', loop],
                        check=True)
        (privileged.DEVICES / name).symlink_to(loop)
        number = os.stat(loop).st_rdev
        folder = (privileged.SYSFS / 'dev' / 'block'
                  / f'{os.major(number)}:{os.minor(number)}')
        folder.mkdir(parents=True)
        (folder / 'uuid').write_text(f'{uuid}\n')

    def test_direct_io(self):
        self.write(self.source, MIB, b'f' * MIB)
        self.namespace('nvme0n1', self.source, UUID)
        self.namespace('nvme1n1', self.target, OTHER)
        spans = [(0, 8 * MIB)]
        self.assertEqual((8 * MIB, MIB), privileged.copy(
            ('nvme0n1', UUID), ('nvme1n1', OTHER.upper()), spans, True))
        self.assertEqual([], privileged.differing(
            ('nvme0n1', UUID), ('nvme1n1', OTHER), spans))
        self.assertEqual(self.content(self.source),
                         self.content(self.target))

    def test_zeros_free_space(self):
        self.write(self.target, 0, b'g' * 8 * MIB)
        self.namespace('nvme0n1', self.source, UUID)
        self.namespace('nvme1n1', self.target, OTHER)
        privileged.copy(('nvme0n1', UUID), ('nvme1n1', OTHER),
                        [(0, 4 * MIB)], False)
        self.assertEqual(bytes(4 * MIB) + b'g' * 4 * MIB,
                         self.content(self.target))

    def test_another_volume_is_refused(self):
        self.namespace('nvme0n1', self.source, UUID)
        self.namespace('nvme1n1', self.target, UUID)
        self.assertRaisesRegex(
            ValueError, f'is volume {UUID}', privileged.copy,
            ('nvme0n1', UUID), ('nvme1n1', OTHER), [(0, MIB)], True)

    def test_what_is_no_device_is_refused(self):
        (privileged.DEVICES / 'nvme0n1').symlink_to(self.source.path)
        self.assertRaisesRegex(
            OSError, 'not a block device', privileged.differing,
            ('nvme0n1', UUID), ('nvme0n1', UUID), [(0, MIB)])

    def test_paths_are_refused(self):
        for name in ('../sda', 'sda', 'nvme0', 'nvme0n1p1', ''):
            self.assertRaises(ValueError, privileged.copy, (name, UUID),
                              (name, UUID), [(0, MIB)], True)
