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

"""The first files of the guest: busybox, modules and a script."""

from __future__ import annotations

import gzip
import lzma
import os
import pathlib
import stat
import subprocess

from tests.vm import packages

MODULES = ('virtio_pci', '9pnet_virtio', '9p', 'overlay', 'virtio_console',
           'nvme-tcp', 'nvmet-tcp', 'dummy', 'dm-crypt', 'xts')
INIT = pathlib.Path(__file__).with_name('init.sh')
_XZ = b'\xfd7zXZ\x00'
_ELF = b'\x7fELF'


def uncompressed_kernel(unpacked: packages.Unpacked) -> pathlib.Path:
    """Take the kernel out of its shell, since it then boots much faster.

    :returns: an ELF file; the kernel as it is, if it is packed otherwise.
    """
    target = unpacked.kernel.with_name('vmlinux')
    if target.exists():
        return target
    packed = unpacked.kernel.read_bytes()
    start = packed.find(_XZ)
    if start < 0:
        return unpacked.kernel
    try:
        image = lzma.LZMADecompressor().decompress(packed[start:])
    except lzma.LZMAError:
        return unpacked.kernel
    if not image.startswith(_ELF):
        return unpacked.kernel
    target.write_bytes(image)
    return target


def module_files(unpacked: packages.Unpacked) -> list[pathlib.Path]:
    """:returns: the modules and all they need, in the order of loading."""
    found: dict[pathlib.Path, None] = {}
    for name in MODULES:
        text = subprocess.run(
            ['modprobe', '--dirname', str(unpacked.modules),
             '--set-version', unpacked.version, '--show-depends', name],
            check=True, capture_output=True, text=True,
            env=os.environ | {'PATH': packages.PATH}).stdout
        for line in text.splitlines():
            kind, _blank, path = line.partition(' ')
            if kind == 'insmod':
                # Behind the path come options from the configuration.
                found[pathlib.Path(path.split()[0])] = None
    return list(found)


class Archive:
    """A cpio archive of the kind the kernel reads ("newc")."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._number = 0

    def add(self, name: str, mode: int, data: bytes = b'') -> None:
        """Add a file, folder or link by its full mode."""
        self._number += 1
        encoded = name.encode() + b'\0'
        fields = (self._number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
                  len(encoded), 0)
        header = b'070701' + ''.join(
            f'{field:08x}' for field in fields).encode()
        for part in (header + encoded, data):
            self._parts.append(part + b'\0' * (-len(part) % 4))

    def finish(self) -> bytes:
        """:returns: the whole archive, compressed."""
        self.add('TRAILER!!!', 0)
        return gzip.compress(b''.join(self._parts), 1)


def build(unpacked: packages.Unpacked, target: pathlib.Path) -> None:
    """Write the archive."""
    archive = Archive()
    folder, executable = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755
    for name in ('bin', 'dev', 'proc', 'sys', 'modules', 'base', 'extra',
                 'rw', 'root', 'share'):
        archive.add(name, folder)
    busybox = pathlib.Path('/bin/busybox')
    archive.add('bin/busybox', executable, busybox.read_bytes())
    archive.add('init', executable, INIT.read_bytes())
    for number, path in enumerate(module_files(unpacked)):
        archive.add(f'modules/{number:03}-{path.name}', executable,
                    path.read_bytes())
    target.write_bytes(archive.finish())
