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

"""Runs the suites in the guest: ``python -m tests.vm.run [NAME...]``."""

from __future__ import annotations

import os
import pathlib
import sys
import tempfile
import time

from tests.vm import machine

# Seconds for all of it; an emulated machine is slow.
LIMIT = 1800.0


def main(names: list[str]) -> int:
    """:returns: 0 if all tests passed in the guest."""
    cache = pathlib.Path(os.environ.get('VM_CACHE') or os.path.join(
        tempfile.gettempdir(), 'lightbits-vm'))
    started = time.monotonic()
    try:
        made = machine.Machine(cache)
        print(f'the guest runs with {made.accelerator}', flush=True)
        return made.run(machine.python_script(
            '-m', 'tests.vm.guest', *names), LIMIT)
    except machine.GuestFailed as exc:
        print(f'the guest failed:\n{exc}', file=sys.stderr)
        return 1
    finally:
        print(f'the guest took {time.monotonic() - started:.0f} s')


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
