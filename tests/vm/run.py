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

from tests.vm import machine

# Seconds for all of it; an emulated machine is slow.
LIMIT = 1800.0


def main(names: list[str]) -> int:
    """:returns: 0 if all tests passed in the guest."""
    cache = pathlib.Path(os.environ.get('VM_CACHE') or os.path.join(
        tempfile.gettempdir(), 'lightbits-vm'))
    try:
        return machine.Machine(cache).run(machine.python_script(
            '-m', 'tests.vm.guest', *names), LIMIT)
    except machine.GuestFailed as exc:
        print(f'the guest failed:\n{exc}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
