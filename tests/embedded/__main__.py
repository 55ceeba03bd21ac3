#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""Run Cinder's services in one process until told to stop.

Prints one line of JSON when the services answer: ``api`` is the API's root
address (null without an API), ``pid`` this process, ``seconds`` the time it
took. SIGTERM and SIGINT stop the services, SIGHUP makes them read their
configuration again.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import pathlib
import signal
import sys
import threading
import time
import types

# The package of the tests may have decided already; this changes nothing
# then. Before Cinder 29 the import of a service's command patches.
if importlib.util.find_spec('cinder.monkey_patch'):
    importlib.import_module('cinder.monkey_patch').patch()
else:
    importlib.import_module('cinder.cmd.volume')

from tests.embedded import files  # noqa: E402
from tests.embedded import services  # noqa: E402
from tests.embedded import settings  # noqa: E402

_PARENT_CHECK_SECONDS = 1.0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m tests.embedded', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--state-dir', type=pathlib.Path, required=True,
                        help='folder of all files; holds cinder.conf')
    parser.add_argument('--services', default=','.join(services.ALL),
                        help='which to run (default: %(default)s)')
    parser.add_argument('--data-dir', type=pathlib.Path,
                        help="folder of a simulator whose volumes' files are "
                             'attached in place of devices')
    parser.add_argument('--parent-pid', type=int,
                        help='stop when this process is the parent no more')
    options = parser.parse_args(arguments)
    options.services = tuple(options.services.split(','))
    unknown = set(options.services) - set(services.EVERY)
    if unknown:
        parser.error(f'--services: unknown: {", ".join(sorted(unknown))}')
    return options


def _wait(stop: threading.Event, parent: int | None) -> None:
    while not stop.wait(_PARENT_CHECK_SECONDS):
        if parent is not None and os.getppid() != parent:
            return


def main(arguments: list[str]) -> int:
    begin = time.monotonic()
    options = _parse(arguments)
    stop = threading.Event()

    def on_stop(signum: int, frame: types.FrameType | None) -> None:
        stop.set()

    def on_reload(signum: int, frame: types.FrameType | None) -> None:
        services.reload_configuration()

    signal.signal(signal.SIGTERM, on_stop)
    signal.signal(signal.SIGINT, on_stop)
    layout = settings.Layout(options.state_dir.resolve())
    settings.prepare(layout)
    services.configure(layout)
    if options.data_dir is not None:
        files.use(options.data_dir)
    running = services.start(options.services)
    signal.signal(signal.SIGHUP, on_reload)
    ready = {'api': running.api.url if running.api else None,
             'pid': os.getpid(),
             'seconds': round(time.monotonic() - begin, 2)}
    print(json.dumps(ready), flush=True)
    _wait(stop, options.parent_pid)
    running.stop()
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
