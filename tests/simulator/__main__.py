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

"""Run the simulator: ``python -m tests.simulator``.

One line of JSON on standard output tells where everything is as soon as
all clusters listen; everything else goes to standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import collections.abc
import json
import logging
import os
import secrets
import shutil
import signal
import sys
import tempfile

import uvloop

from tests.simulator import config
from tests.simulator import control_nodes
from tests.simulator import control_objects
from tests.simulator import control_server
from tests.simulator import endpoint
from tests.simulator import errors
from tests.simulator import simulator as simulators

LOG = logging.getLogger('tests.simulator')

_LOOPBACK = '127.0.0.1'


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m tests.simulator', description=__doc__
    )
    add = parser.add_argument
    add(
        '--clusters',
        default='east,west,north',
        help='names, separated by commas; empty for none',
    )
    add('--nodes', type=int, default=3, help='nodes of each cluster')
    add('--listen', default=_LOOPBACK, help='address of the API endpoints')
    add('--state-dir', help='by default a temporary one, removed at the end')
    add('--control-port', type=int, default=0, help='0 takes a free one')
    add('--data-plane', choices=config.DATA_PLANES, default='none')
    add('--cert', choices=('san', 'stock'), default='san')
    add('--capacity', type=int, help='effective bytes of each cluster')
    add('--projects', default='default', help='separated by commas')
    add('--version', help='release the clusters report')
    add('--delays', type=json.loads, default={}, help='as JSON')
    add('--switches', type=json.loads, default={}, help='as JSON')
    add('--seed', type=int, help='of UUIDs and random delays')
    add(
        '--base-port',
        type=int,
        default=0,
        help='first API port; each cluster takes 100',
    )
    add('--journal', type=int, default=0, help='requests remembered')
    add('--parent-pid', type=int, help='end when this process does')
    add(
        '--exit-with-stdin',
        action='store_true',
        help='end at the end of standard input',
    )
    return parser


# Ports one cluster takes from the base port on.
_PORTS = 100


def _cluster_options(
    arguments: argparse.Namespace,
) -> list[config.ClusterOptions]:
    names = [name for name in arguments.clusters.split(',') if name]
    base = arguments.base_port
    shared = {
        'nodes': arguments.nodes,
        'listen': arguments.listen,
        'cert': arguments.cert,
        'data_plane': arguments.data_plane,
        'journal': arguments.journal,
        'projects': arguments.projects.split(','),
        'delays': arguments.delays,
        'switches': arguments.switches,
    }
    for name in ('capacity', 'version'):
        if getattr(arguments, name) is not None:
            shared[name] = getattr(arguments, name)
    return [
        config.ClusterOptions.from_json(
            {
                **shared,
                'name': name,
                'base_port': base and base + _PORTS * index,
            }
        )
        for index, name in enumerate(names)
    ]


def _watch_parent(
    loop: asyncio.AbstractEventLoop,
    pid: int,
    end: collections.abc.Callable[[], None],
) -> None:
    """Call `end` when the process `pid` is gone."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        end()
        return
    loop.add_reader(descriptor, end)


def _watch_input(
    loop: asyncio.AbstractEventLoop, end: collections.abc.Callable[[], None]
) -> None:
    """Call `end` at the end of standard input."""
    descriptor = sys.stdin.fileno()

    def read() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            end()

    loop.add_reader(descriptor, read)


async def _run(
    arguments: argparse.Namespace, options: config.SimulatorOptions
) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    if arguments.parent_pid is not None:
        _watch_parent(loop, arguments.parent_pid, over.set)
    if arguments.exit_with_stdin:
        _watch_input(loop, over.set)
    simulator = simulators.Simulator(loop, options)
    for cluster in _cluster_options(arguments):
        await simulator.add(cluster)
    routes = [
        *control_server.ROUTES,
        *control_nodes.ROUTES,
        *control_objects.ROUTES,
    ]
    control = endpoint.Endpoint(
        loop,
        _LOOPBACK,
        options.control_port,
        control_server.ControlApi(simulator, routes, loop),
        None,
    )
    await control.start()
    print(json.dumps({'control': control.text, **simulator.info()}))
    sys.stdout.flush()
    LOG.info('Ready; control API at %s; seed %s', control.text, options.seed)
    await over.wait()
    LOG.info('Ending')
    await control.close()
    await simulator.close()


def main() -> int:
    """Run until a signal, the parent's death or the end of input."""
    arguments = _parser().parse_args()
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format='%(asctime)s %(levelname)s %(name)s: %(message)s',
    )
    temporary = arguments.state_dir is None
    directory = arguments.state_dir
    if temporary:
        directory = tempfile.mkdtemp(prefix='lightbits-simulator-')
    os.makedirs(directory, mode=0o700, exist_ok=True)
    options = config.SimulatorOptions(
        state_dir=os.path.abspath(directory),
        control_port=arguments.control_port,
        seed=(
            secrets.randbits(32) if arguments.seed is None else arguments.seed
        ),
    )
    try:
        uvloop.run(_run(arguments, options))
    except errors.ControlError as err:
        print(f'error: {err}', file=sys.stderr)
        return 2
    finally:
        if temporary:
            shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
