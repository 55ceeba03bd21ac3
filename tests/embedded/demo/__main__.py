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

"""Run the demonstration; the exit status says whether all of it held."""

from __future__ import annotations

import argparse
import signal
import sys
import traceback

from tests.embedded.demo import keeper
from tests.embedded.demo import show
from tests.embedded.demo import stage


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='tools/demo.sh',
                                     description=__doc__)
    parser.add_argument('--keep', action='store_true',
                        help='leave it running and print how to talk to it')
    parser.add_argument('--threads', action='store_true',
                        help='Cinder on native threads, not eventlet')
    return parser.parse_args(arguments)


def _play(on: stage.Stage, keep: bool) -> bool:
    """Return whether everything held; say what did not."""
    try:
        show.play(on, keep)
    except Exception:  # noqa: BLE001  (the top of the program)
        traceback.print_exc()
        print('\nFAILED', file=sys.stderr)
        return False
    return True


def _run(options: argparse.Namespace,
         keep: keeper.Keeper | None = None) -> bool:
    on = stage.Stage(options.threads)
    held = False
    try:
        held = _play(on, keep is not None)
        if held and keep is not None:
            keep.keep(on)
    finally:
        on.close(remove=held)
        if not held:
            print(f'Configuration and logs are in {on.folder}',
                  file=sys.stderr)
    return held


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    # What is running is to be stopped, however this ends.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(1))
    if options.keep:
        return keeper.detach(lambda keep: _run(options, keep))
    return 0 if _run(options) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
