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

"""Encrypted volumes, and backups of volumes in use: with real data.

The host that uses a volume is the test: it writes to the volume's file what
an encryptor would, with the key that Cinder gave the volume.
"""

from __future__ import annotations

import binascii
import os
import subprocess
from typing import Any

from tests.embedded import keys
from tests.functional import base
from tests.stack import programs

MIB = 1 << 20
GIB = 1 << 30
KEYS = ('[key_manager]\n'
        f'backend = {keys.__name__}.{keys.FileKeyManager.__name__}\n')
DATA = 4 * MIB

#: What qemu-img says when it cannot measure, and how often it is asked.
NO_MEASURE = 'Unable to get accurate CPU usage'
ATTEMPTS = 50


class DataTest(base.FunctionalTest):
    """A host that reads and writes volumes."""

    def setUp(self) -> None:
        super().setUp()
        for name in ('east', 'west'):
            self.add_cluster(name, data_plane='sparse')

    def path(self, volume: Any) -> str:
        """Return the file of a volume."""
        name, item = self.on_array(volume)
        path = self.clusters[name].data_path(item['UUID'])
        assert path is not None
        return path

    def attached(self, sdk: Any, volume: Any) -> Any:
        """Attach a volume; return the attachment as it then is."""
        made = sdk.create_attachment(volume.id, connector=base.CONNECTOR)
        sdk.complete_attachment(made)
        self.settled(sdk, volume, 'in-use')
        return sdk.get_attachment(made.id)

    def detach(self, sdk: Any, volume: Any, attachment: Any) -> None:
        """Detach a volume."""
        sdk.delete_attachment(attachment.id)
        self.settled(sdk, volume)


class EncryptionTest(DataTest):

    def key_id(self, sdk: Any, volume: Any) -> str:
        """Return the id of a volume's key, as Nova asks for it."""
        reply = sdk.get(f'/volumes/{volume.id}/encryption')
        self.assertEqual(200, reply.status_code)
        told = reply.json()
        self.assertEqual(('luks', 256), (told['provider'],
                                         told['key_size']))
        return str(told['encryption_key_id'])

    def passphrase(self, key_id: str) -> str:
        """Write the passphrase of a key to a file; return its path."""
        key = self.cloud.layout.state / keys.FOLDER / key_id
        secret = self.folder / f'secret-{key_id}'
        secret.write_bytes(binascii.hexlify(key.read_bytes()))
        return str(secret)

    def qemu_img(self, key_id: str, *arguments: str) -> None:
        """Run qemu-img with a key at hand.

        Some releases fail now and then on a machine with much to do: they
        cannot tell how fast it is.
        """
        for _attempt in range(ATTEMPTS):
            done = subprocess.run(
                [programs.find('qemu-img'), arguments[0], '--object',
                 f'secret,id=s,file={self.passphrase(key_id)}',
                 *arguments[1:]],
                check=False, capture_output=True, text=True)
            if NO_MEASURE not in done.stderr:
                break
        self.assertEqual(0, done.returncode, done.stderr)

    def encrypt(self, volume: Any, key_id: str, data: bytes) -> None:
        """Do what a host does with a new encrypted volume."""
        plain = self.folder / 'plain'
        plain.write_bytes(data)
        path = self.path(volume)
        size = os.stat(path).st_size
        self.qemu_img(key_id, 'convert', '-f', 'raw', '-O', 'luks', '-o',
                      'key-secret=s,iter-time=10', str(plain), path)
        os.truncate(path, size)

    def decrypted(self, volume: Any, key_id: str) -> bytes:
        """Read what was encrypted."""
        plain = self.folder / 'decrypted'
        self.qemu_img(key_id, 'dd', '--image-opts', '-O', 'raw', 'bs=1M',
                      f'count={DATA // MIB}', f'of={plain}',
                      f'if=driver=luks,key-secret=s,'
                      f'file.filename={self.path(volume)}')
        return plain.read_bytes()

    def test_a_life(self) -> None:
        """Create, write, clone, snapshot, extend, delete."""
        sdk = self.start(service=KEYS, data=True)
        made = sdk.create_type(name='secret')
        sdk.create_type_encryption(
            volume_type=made, provider='luks', cipher='aes-xts-plain64',
            key_size=256, control_location='front-end')
        volume = self.create(sdk, volume_type=made.id)
        self.assertTrue(volume.is_encrypted)
        attachment = self.attached(sdk, volume)
        self.assertTrue(attachment.connection_info['encrypted'])
        key = self.key_id(sdk, volume)
        data = os.urandom(DATA)
        self.encrypt(volume, key, data)
        with open(self.path(volume), 'rb') as stream:
            self.assertNotIn(data[:4096], stream.read(4 * DATA))
        self.detach(sdk, volume, attachment)
        snapshot = self.snapshot(sdk, volume)
        copies = [self.create(sdk, source_volume_id=volume.id),
                  self.create(sdk, snapshot_id=snapshot.id)]
        for copy in copies:
            self.assertTrue(copy.is_encrypted)
            own = self.key_id(sdk, copy)
            self.assertNotEqual(key, own)
            self.assertEqual(data, self.decrypted(copy, own))
        sdk.extend_volume(copies[0].id, 2)
        larger = self.settled(sdk, copies[0])
        self.assertEqual(2, larger.size)
        self.assertEqual(2 * GIB, os.stat(self.path(larger)).st_size)
        again = self.attached(sdk, larger)
        self.assertEqual(data, self.decrypted(
            larger, self.key_id(sdk, larger)))
        self.detach(sdk, larger, again)
        self.audit()
        sdk.delete_snapshot(snapshot.id)
        self.wait(lambda: not list(sdk.snapshots()), 'the snapshot to go')
        self.delete(sdk, volume, *copies)
        self.assertEqual([], list(
            (self.cloud.layout.state / keys.FOLDER).iterdir()))
        self.audit()


class BackupTest(DataTest):

    def backup_done(self, sdk: Any, backup: Any) -> Any:
        """Wait until a backup is at rest and good."""
        def look() -> Any:
            now = sdk.get_backup(backup.id)
            return now if now.status not in ('creating', 'restoring') else (
                None)

        found = self.wait(look, f'backup {backup.id}', 300)
        self.assertEqual('available', found.status, found.fail_reason)
        return found

    def test_volume_in_use(self) -> None:
        """It is backed up as it is, through a copy that goes again."""
        folder = self.folder / 'backups'
        folder.mkdir()
        sdk = self.start(
            data=True, services='api,scheduler,volume,backup', service=(
                '[DEFAULT]\n'
                'backup_driver = '
                'cinder.backup.drivers.posix.PosixBackupDriver\n'
                f'backup_posix_path = {folder}\n'
                'backup_file_size = 33554432\n'))
        volume = self.create(sdk)
        attachment = self.attached(sdk, volume)
        data = os.urandom(DATA)
        with open(self.path(volume), 'r+b') as stream:
            stream.seek(100 * MIB)
            stream.write(data)
        backup = self.backup_done(sdk, sdk.create_backup(
            volume_id=volume.id, force=True))
        self.settled(sdk, volume, 'in-use')
        self.audit()
        # What comes after the backup is not in it.
        with open(self.path(volume), 'r+b') as stream:
            stream.seek(100 * MIB)
            stream.write(bytes(DATA))
        target = self.create(sdk)
        sdk.restore_backup(backup, volume=target.id)
        self.backup_done(sdk, backup)
        target = self.settled(sdk, target)
        with open(self.path(target), 'rb') as stream:
            self.assertEqual(b'', stream.read(100 * MIB).strip(b'\0'))
            self.assertEqual(data, stream.read(DATA))
        self.detach(sdk, volume, attachment)
        self.delete(sdk, volume, target)
        self.assertEqual(
            [], [item for cluster in self.clusters.values()
                 for item in cluster.state()['volumes']
                 if item['name'].startswith('volume-')
                 and item['state'] != 'Deleting'
                 and not item['name'].startswith('volume-00000000-')])
        self.audit()
