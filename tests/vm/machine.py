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

"""Starting the guest, and getting back what it has done."""

from __future__ import annotations

import compileall
import os
import pathlib
import shlex
import subprocess
import sys
import time

from tests.vm import initramfs
from tests.vm import packages

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ('cinder_lightbits_federation', 'os_brick_ext', 'tests')
MEMORY = 2048
# An emulated machine's kernel finds the processors' clocks apart and takes
# one that is a device, where each look at the time is a call to the machine
# outside. They are one clock: this machine's.
ARGUMENTS = ('console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable '
             'nvme_core.multipath=Y')
EMULATION = 'tcg,thread=multi'
# Seconds a guest has to start under KVM. Where KVM is itself emulated, one
# may abort at once, or hang for ever.
KVM_LIMIT = 20.0
KVM = pathlib.Path('/dev/kvm')
BOOT = pathlib.Path('/proc/sys/kernel/random/boot_id')


class GuestFailed(Exception):
    """The guest did not come to an end by itself."""


class Machine:
    """A guest with this machine's files, read-only, below its own.

    :param cache: folder for what is downloaded and built.
    """

    def __init__(self, cache: pathlib.Path) -> None:
        self._share = cache / 'share'
        self._share.mkdir(parents=True, exist_ok=True)
        self._unpacked = packages.unpack(cache / 'packages')
        self._kernel = initramfs.uncompressed_kernel(self._unpacked)
        self._initramfs = cache / 'initramfs'
        initramfs.build(self._unpacked, self._initramfs)
        self.accelerator = (os.environ.get('VM_ACCELERATOR')
                            or self._choose(cache / 'no-kvm'))

    def _choose(self, refusal: pathlib.Path) -> str:
        """:returns: KVM if guests run under it, else emulation.

        :param refusal: file that remembers that they do not, until this
            machine is booted again.
        """
        if not os.access(KVM, os.R_OK | os.W_OK):
            return EMULATION
        boot = BOOT.read_text()
        if refusal.exists() and refusal.read_text() == boot:
            return EMULATION
        self.accelerator = 'kvm'
        try:
            if self.run('exit 0', KVM_LIMIT) == 0:
                return self.accelerator
        except GuestFailed:
            refusal.write_text(boot)
        return EMULATION

    def run(self, script: str, seconds: float) -> int:
        """Run a shell script in the guest, showing what it prints.

        :param script: finds the checkout at the same place as here.
        :returns: its exit status.
        :raises GuestFailed: it did not end in time, or the guest died.
        """
        for name in ('status', 'output', 'console', 'figures.json'):
            (self._share / name).unlink(missing_ok=True)
        (self._share / 'run.sh').write_text(script)
        (self._share / 'output').touch()
        with open(self._share / 'console', 'wb') as console:
            guest = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=console,
                stderr=subprocess.STDOUT)
        try:
            self._follow(guest, seconds)
        finally:
            if guest.poll() is None:
                guest.kill()
            guest.wait()
        status = self._share / 'status'
        if not status.exists():
            raise GuestFailed(
                (self._share / 'console').read_text(errors='replace'))
        return int(status.read_text())

    def result(self, name: str) -> str:
        """:returns: what the guest has left in a file of its share."""
        return (self._share / name).read_text()

    def _follow(self, guest: subprocess.Popen[bytes],
                seconds: float) -> None:
        end = time.monotonic() + seconds
        with open(self._share / 'output', errors='replace') as output:
            while guest.poll() is None and time.monotonic() < end:
                sys.stdout.write(output.read())
                sys.stdout.flush()
                time.sleep(0.2)
            sys.stdout.write(output.read())

    def _command(self) -> list[str]:
        command = [
            'qemu-system-x86_64', '-accel', self.accelerator, '-cpu', 'max',
            '-smp', '2', '-m', str(MEMORY), '-no-reboot', '-nodefaults',
            '-display', 'none', '-serial', 'stdio',
            '-kernel', str(self._kernel), '-initrd', str(self._initramfs),
            '-append', ARGUMENTS]
        for tag, path, options in (
                ('base', pathlib.Path('/'), ',readonly=on,multidevs=remap'),
                ('extra', self._unpacked.extra, ',readonly=on'),
                ('share', self._share, '')):
            command += [
                '-fsdev', f'local,id={tag},path={path},'
                f'security_model=none{options}',
                '-device', f'virtio-9p-pci,fsdev={tag},mount_tag={tag}']
        return command


def python_script(*words: str) -> str:
    """:returns: a script that runs a module with this very Python."""
    for package in PACKAGES:
        # So that the guest need not.
        compileall.compile_dir(ROOT / package, quiet=1)
    environment = {
        'PATH': f'{pathlib.Path(sys.executable).parent}:/usr/local/sbin:'
                '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        'HOME': '/root', 'LC_ALL': 'C.UTF-8', 'PYTHONWARNINGS': 'ignore',
        'PYTHONDONTWRITEBYTECODE': '1', 'PYTHONUNBUFFERED': '1',
        # Where imports take tens of seconds, what nobody needs counts.
        'EVENTLET_NO_GREENDNS': 'yes',
        # There is no udev, so device mapper makes its nodes itself.
        'DM_DISABLE_UDEV': '1'}
    exports = ''.join(f'export {name}={shlex.quote(value)}\n'
                      for name, value in environment.items())
    return (f'{exports}cd {shlex.quote(str(ROOT))} || exit 1\n'
            f'exec {shlex.quote(sys.executable)} {shlex.join(words)}\n')
