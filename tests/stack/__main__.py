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
"""Run three ``cinder-volume`` in one cluster over simulated clusters.

Prints the environment for ``openstack`` and serves until it is interrupted;
then everything ends and all files go. Without ``--keep`` it ends as soon as
all services serve.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import threading
import types

from tests.stack import bed
from tests.stack import locks


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m tests.stack', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--keep', action='store_true',
                        help='serve until interrupted')
    parser.add_argument('--coordination', choices=sorted(locks.KINDS),
                        default='etcd',
                        help='what keeps the locks (default: %(default)s)')
    parser.add_argument('--threads', action='store_true',
                        help='native threads instead of eventlet')
    return parser.parse_args(arguments)


def _show(running: bed.Bed, seconds: float) -> None:
    stack = running.stack
    print(f'# All services serve, after {seconds:.0f} s.\n'
          f'# Files and logs: {running.folder}\n'
          f'# Simulator, to break clusters with: '
          f'{running.simulator.control_address}')
    for host, service in stack.volumes.items():
        print(f'# cinder-volume {host}: process group {service.pid}')
    command = os.path.join(os.path.dirname(sys.executable), 'openstack')
    for name, value in stack.environment().items():
        print(f'export {name}={shlex.quote(value)}')
    print(f'# {command} volume service list\n'
          f'# {command} block storage cluster list', flush=True)


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    ended = threading.Event()

    def end(signum: int, frame: types.FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with bed.Bed(coordination=options.coordination,
                 threads=options.threads) as running:
        _show(running, running.stack.start())
        if options.keep:
            ended.wait()
            print('# Ending.', flush=True)
        running.stack.stop()
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
