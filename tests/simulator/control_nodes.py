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


"""Control calls on the nodes of a cluster and the release they run."""

from __future__ import annotations

from tests.simulator import config
from tests.simulator import control_server
from tests.simulator import upgrade


async def add_node(command: control_server.Command) -> object:
    """Add a node at run time."""
    target = command.target
    options = config.NodeOptions.from_json(command.body)
    index = await target.add_node(options)
    return {**target.info(), 'index': index}


async def remove_node(command: control_server.Command) -> object:
    """Remove a node, with `force` one that holds replicas."""
    target = command.target
    await target.remove_node(
        target.node(command.params['node']),
        force=command.take(bool, 'force', False),
    )
    return target.info()


async def readdress_node(command: control_server.Command) -> object:
    """Give a node another API port or data address."""
    target = command.target
    await target.readdress_node(
        target.node(command.params['node']),
        config.NodeOptions.from_json(command.body, addresses=True),
    )
    return target.info()


async def stop_node(command: control_server.Command) -> object:
    """Stop the data role of a node."""
    target = command.target
    target.cluster.stop_node(target.node(command.params['node']))
    return {}


async def start_node(command: control_server.Command) -> object:
    """Start the data role of a node."""
    target = command.target
    target.cluster.start_node(target.node(command.params['node']))
    return {}


async def stop_api(command: control_server.Command) -> object:
    """Let the API service of a node die."""
    target = command.target
    await target.set_api(target.node(command.params['node']), alive=False)
    return {}


async def start_api(command: control_server.Command) -> object:
    """Let the API service of a node live."""
    target = command.target
    await target.set_api(target.node(command.params['node']), alive=True)
    return {}


async def set_upgrade(command: control_server.Command) -> object:
    """Set how the last upgrade stands."""
    upgrade.set_upgrade(
        command.target.cluster,
        command.take(str, 'status', ''),
        target=command.take(str, 'target', None),
        error=command.take(str, 'error', ''),
        step=command.take(int, 'step', None),
        total=command.take(int, 'total', None),
    )
    return {}


async def set_version(command: control_server.Command) -> object:
    """Let the nodes run another release."""
    version = command.take(str, 'version', '')
    upgrade.set_version(command.target.cluster, version)
    return {}


_ONE = control_server.ONE
_NODE = f'{_ONE}/nodes/{{node}}'

ROUTES = [
    control_server.ControlRoute('POST', f'{_ONE}/nodes', add_node),
    control_server.ControlRoute('DELETE', _NODE, remove_node),
    control_server.ControlRoute('PUT', f'{_NODE}/address', readdress_node),
    control_server.ControlRoute('POST', f'{_NODE}/stop', stop_node),
    control_server.ControlRoute('POST', f'{_NODE}/start', start_node),
    control_server.ControlRoute('POST', f'{_NODE}/api/stop', stop_api),
    control_server.ControlRoute('POST', f'{_NODE}/api/start', start_api),
    control_server.ControlRoute('PUT', f'{_ONE}/upgrade', set_upgrade),
    control_server.ControlRoute('PUT', f'{_ONE}/version', set_version),
]
