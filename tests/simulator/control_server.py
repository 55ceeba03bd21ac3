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

"""The control API: plain HTTP with JSON on loopback."""

from __future__ import annotations

import asyncio
import collections.abc
import dataclasses
import json
import logging
import types
import typing

from tests.simulator import calls
from tests.simulator import config
from tests.simulator import deployment
from tests.simulator import errors
from tests.simulator import http
from tests.simulator import simulator as simulators
from tests.simulator import switches

LOG = logging.getLogger(__name__)

Json = dict[str, typing.Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """A request of the control API on its way to a handler."""

    simulator: simulators.Simulator
    params: dict[str, str]
    body: Json

    @property
    def target(self) -> deployment.Deployment:
        """The cluster in the path."""
        return self.simulator.get(self.params['cluster'])

    def take(
        self, kind: type | types.UnionType, name: str, default: typing.Any
    ) -> typing.Any:
        """Return a field of the body, of a given type.

        :raises ControlError: naming the field of another type.
        """
        value = self.body.get(name, default)
        if value is not default and not isinstance(value, kind):
            raise errors.ControlError(
                f'field {name}: {value!r} is not of type {kind}'
            )
        return value


Handler = collections.abc.Callable[
    [Command], collections.abc.Awaitable[object]
]


@dataclasses.dataclass(frozen=True, slots=True)
class ControlRoute:
    """A path template with the handler of one verb on it."""

    method: str
    template: str
    handler: Handler


async def describe(command: Command) -> object:
    """Tell what a client must know of all clusters."""
    return command.simulator.info()


async def list_switches(command: Command) -> object:
    """Tell every switch there is."""
    return switches.describe()


async def add_cluster(command: Command) -> object:
    """Make a cluster at run time."""
    options = config.ClusterOptions.from_json(command.body)
    return (await command.simulator.add(options)).info()


async def get_cluster(command: Command) -> object:
    """Tell what a client must know of a cluster."""
    return command.target.info()


async def remove_cluster(command: Command) -> object:
    """End a cluster."""
    await command.simulator.remove(command.params['cluster'])
    return {}


async def stop_cluster(command: Command) -> object:
    """Take a cluster down."""
    await command.target.stop()
    return {}


async def start_cluster(command: Command) -> object:
    """Bring a cluster up, by `uuid` as another one."""
    uuid = command.take(str, 'uuid', None)
    wipe = command.take(bool, 'wipe', False)
    await command.target.start(
        None if uuid is None else config.parse_uuid(uuid), wipe=wipe
    )
    return command.target.info()


async def get_switches(command: Command) -> object:
    """Tell how the switches stand."""
    return dataclasses.asdict(command.target.cluster.switches)


async def set_switches(command: Command) -> object:
    """Set the switches given."""
    cluster = command.target.cluster
    cluster.switches = cluster.switches.replaced(command.body)
    return dataclasses.asdict(cluster.switches)


async def get_delays(command: Command) -> object:
    """Tell how the delays stand."""
    return dataclasses.asdict(command.target.cluster.delays)


async def set_delays(command: Command) -> object:
    """Set the delays given; what is under way keeps its own."""
    cluster = command.target.cluster
    cluster.delays = cluster.delays.replaced(command.body)
    return dataclasses.asdict(cluster.delays)


async def settle(command: Command) -> object:
    """Let all changes under way be done now."""
    return {'settled': command.target.cluster.changes.finish()}


async def set_clock(command: Command) -> object:
    """Set by how many seconds the cluster's clock is ahead."""
    skew = command.take(int | float, 'skew', 0.0)
    command.target.cluster.clock_skew = float(skew)
    return {}


async def add_fault(command: Command) -> object:
    """Add a fault."""
    return (await command.target.add_fault(command.body)).as_json()


async def list_faults(command: Command) -> object:
    """Tell all faults with their hits."""
    return [fault.as_json() for fault in command.target.faults.faults]


async def clear_faults(command: Command) -> object:
    """Clear all faults."""
    await command.target.clear_faults(None)
    return {}


async def clear_fault(command: Command) -> object:
    """Clear one fault."""
    await command.target.clear_faults(command.params['fault'])
    return {}


async def get_counters(command: Command) -> object:
    """Tell the counts."""
    target = command.target
    return {
        **target.counters.as_json(),
        'open_connections': target.open_connections,
    }


async def reset_counters(command: Command) -> object:
    """Count from 0 again."""
    command.target.counters.reset()
    return {}


async def get_journal(command: Command) -> object:
    """Tell the last requests."""
    return list(command.target.journal.entries)


class ControlApi:
    """The application behind the control port."""

    def __init__(
        self,
        simulator: simulators.Simulator,
        routes: collections.abc.Iterable[ControlRoute],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._simulator = simulator
        self._router = calls.Router(routes)
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()

    def connected(self, connection: http.Connection) -> None:
        """Do nothing."""

    def disconnected(self, connection: http.Connection) -> None:
        """Do nothing."""

    def secured(self, *, resumed: bool) -> None:
        """Do nothing: there is no TLS here."""

    def serve(
        self, connection: http.Connection, request: http.Request
    ) -> None:
        """Answer a request in a task of its own."""
        task = self._loop.create_task(self._serve(connection, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(
        self, connection: http.Connection, request: http.Request
    ) -> None:
        try:
            response = http.json_response(200, await self._handle(request))
        except errors.ControlError as err:
            response = http.json_response(err.status, {'error': str(err)})
        except Exception as err:  # noqa: BLE001 - the top of a task
            LOG.exception('A control handler failed')
            text = f'simulator defect: {err!r}'
            response = http.json_response(500, {'error': text})
        connection.reply(response)

    async def _handle(self, request: http.Request) -> object:
        route, params, status = self._router.find(request.method, request.path)
        if route is None:
            raise errors.ControlError(
                f'no such call: {request.method} {request.path}', status
            )
        body = _parse(request.body)
        return await route.handler(Command(self._simulator, params, body))


def _parse(body: bytes) -> Json:
    if not body:
        return {}
    try:
        value = json.loads(body)
    except ValueError as err:
        raise errors.ControlError(f'the body is not JSON: {err}') from err
    if not isinstance(value, dict):
        raise errors.ControlError('the body is not a JSON object')
    return value


CLUSTERS = '/control/clusters'
ONE = f'{CLUSTERS}/{{cluster}}'

ROUTES = [
    ControlRoute('GET', '/control', describe),
    ControlRoute('GET', '/control/switches', list_switches),
    ControlRoute('POST', CLUSTERS, add_cluster),
    ControlRoute('GET', ONE, get_cluster),
    ControlRoute('DELETE', ONE, remove_cluster),
    ControlRoute('POST', f'{ONE}/stop', stop_cluster),
    ControlRoute('POST', f'{ONE}/start', start_cluster),
    ControlRoute('GET', f'{ONE}/switches', get_switches),
    ControlRoute('PUT', f'{ONE}/switches', set_switches),
    ControlRoute('GET', f'{ONE}/delays', get_delays),
    ControlRoute('PUT', f'{ONE}/delays', set_delays),
    ControlRoute('POST', f'{ONE}/settle', settle),
    ControlRoute('PUT', f'{ONE}/clock', set_clock),
    ControlRoute('POST', f'{ONE}/faults', add_fault),
    ControlRoute('GET', f'{ONE}/faults', list_faults),
    ControlRoute('DELETE', f'{ONE}/faults', clear_faults),
    ControlRoute('DELETE', f'{ONE}/faults/{{fault}}', clear_fault),
    ControlRoute('GET', f'{ONE}/counters', get_counters),
    ControlRoute('DELETE', f'{ONE}/counters', reset_counters),
    ControlRoute('GET', f'{ONE}/journal', get_journal),
]
