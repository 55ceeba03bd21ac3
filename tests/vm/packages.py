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

"""Debian packages that only the virtual machine needs, unpacked.

None of them is installed on this machine.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import re
import shutil
import subprocess

KERNEL = 'linux-image-amd64'
# What the guest has beside the files of this machine.
EXTRA = ('nvme-cli', 'libnvme1', 'libjson-c5', 'dmsetup',
         'libdevmapper1.02.1', 'cryptsetup-bin', 'libcryptsetup12',
         'libargon2-1', 'libpopt0')
# Debian's folders are links into /usr, while packages may have folders.
# Users who are not root have no such folders in theirs.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
USR_LINKS = ('bin', 'sbin', 'lib', 'lib64')


@dataclasses.dataclass(frozen=True, slots=True)
class Unpacked:
    """Where things are.

    :param kernel: the compressed kernel.
    :param modules: folder with ``lib/modules`` in it.
    :param version: of the kernel.
    :param extra: folder to lay over the root of the guest.
    """

    kernel: pathlib.Path
    modules: pathlib.Path
    version: str
    extra: pathlib.Path


def kernel_package() -> str:
    """:returns: name of the package that holds the kernel itself.

    :raises RuntimeError: apt knows none.
    """
    text = subprocess.run(
        ['apt-cache', 'depends', KERNEL], check=True, capture_output=True,
        text=True).stdout
    match = re.search(r'Depends: (linux-image-[0-9][^ \n]*)', text)
    if not match:
        raise RuntimeError(f'apt knows no kernel in {KERNEL}')
    return match[1]


def _unpack(name: str, cache: pathlib.Path, target: pathlib.Path) -> None:
    if not list(cache.glob(f'{name}_*.deb')):
        # As root, apt would want to become another user for this.
        subprocess.run(
            ['apt-get', 'download', '-qq', '-o', 'APT::Sandbox::User=root',
             '-o', 'Acquire::Retries=5', name], check=True, cwd=cache)
    package, = cache.glob(f'{name}_*.deb')
    target.mkdir(exist_ok=True)
    files = subprocess.run(['dpkg-deb', '--fsys-tarfile', str(package)],
                           check=True, capture_output=True).stdout
    subprocess.run(['tar', '-x', '--keep-directory-symlink', '-C',
                    str(target)], check=True, input=files)


def unpack(cache: pathlib.Path) -> Unpacked:
    """Have the packages in a folder; what is there is used again."""
    cache.mkdir(parents=True, exist_ok=True)
    name = kernel_package()
    kernel = cache / name
    # A list that has changed asks for a folder of its own.
    digest = hashlib.sha256(' '.join(EXTRA).encode()).hexdigest()
    extra = cache / f'extra-{digest[:12]}'
    version = name.removeprefix('linux-image-')
    if not kernel.exists():
        _unpack(name, cache, kernel)
        subprocess.run(['depmod', '-b', str(kernel), version], check=True,
                       env=os.environ | {'PATH': PATH})
    if not extra.exists():
        begun = extra.with_suffix('.new')
        shutil.rmtree(begun, ignore_errors=True)
        for link in USR_LINKS:
            (begun / 'usr' / link).mkdir(parents=True)
            (begun / link).symlink_to(f'usr/{link}')
        for name in EXTRA:
            _unpack(name, cache, begun)
        begun.rename(extra)
    return Unpacked(kernel / 'boot' / f'vmlinuz-{version}', kernel, version,
                    extra)
