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

"""The state of one cluster and the few things every operation needs."""

from __future__ import annotations

import asyncio
import collections
import collections.abc
import random
import time
import uuid as uuidlib

from tests.simulator import auth
from tests.simulator import capacity
from tests.simulator import config
from tests.simulator import dataplane
from tests.simulator import errors
from tests.simulator import exports
from tests.simulator import model
from tests.simulator import store
from tests.simulator import timeline

DISCOVERY_PORT = 8009
DATA_PORT = 4420
NO_LIMIT = 'no-limit-policy'

# Removed objects whose last version stale reads still answer.
_DEPARTED = 1024


class Rate:
    """Counts the requests of each second against a limit."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._second = 0
        self._count = 0

    def admits(self) -> bool:
        """Count a request; return whether it is within the limit."""
        limit = self._cluster.switches.rate_limit
        if not limit:
            return True
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        return self._count <= limit


_NQN = 'nqn.2016-01.com.lightbitslabs:uuid:'


class Cluster:
    """One cluster: its nodes, its objects, its clock and its switches.

    :param number: place among all clusters the process ever made; it
        gives the cluster its own data addresses.
    """

    def __init__(
        self,
        options: config.ClusterOptions,
        number: int,
        rng: random.Random,
        loop: asyncio.AbstractEventLoop,
        plane: dataplane.DataPlane,
    ) -> None:
        self.options = options
        self.name = options.name
        self.switches = options.switches
        self.delays = options.delays
        self.plane = plane
        self.rng = rng
        self.rate = Rate(self)
        self.halted = False
        self._parked: list[collections.abc.Callable[[], None]] = []
        # Changes of state under way, and whatever else is due later.
        self.changes = timeline.Timeline(loop)
        self.timeline = timeline.Timeline(loop)
        self.clock_skew = 0.0
        self.etag = options.switches.first_etag
        self.uuid = options.uuid or self.new_uuid()
        self.subsystem = self.new_uuid()
        self.upgrade = model.Upgrade()
        self._place = number
        # All nodes there ever were, by index, and those that are members.
        self.machines: list[model.Node] = []
        self.nodes: list[model.Node] = []
        for node in config.first_nodes(options):
            self.add_node(node)
        self.auth = auth.Authenticator()
        self.projects: dict[str, model.Project] = {}
        self.policies: dict[str, model.Policy] = {}
        self.hosts: dict[str, model.Host] = {}
        self._number = 0
        self._nsid = 0
        self._reset()
        self._add_policy()

    def _reset(self) -> None:
        self.volumes: store.Store[model.Volume] = store.Store()
        self.snapshots: store.Store[model.Snapshot] = store.Store()
        # Clones of each snapshot, and the Deleting ones that wait for them.
        self.clones: dict[str, set[str]] = {}
        self.waiting: set[str] = set()
        # UUIDs of protection groups, for rendering.
        self.groups: dict[tuple[int, ...], str] = {}
        self.departed: collections.OrderedDict[str, model.Resource] = (
            collections.OrderedDict()
        )
        self.hosts.clear()
        self.usage = capacity.Usage(
            [node.capacity for node in self.machines],
            self.options.read_only_at,
            self.options.compression_ratio,
        )

    def _add_policy(self) -> None:
        policy = model.Policy(self.new_uuid(), NO_LIMIT)
        self.policies[policy.uuid] = policy
        self.default_policy = policy.uuid

    def add_node(self, options: config.NodeOptions) -> model.Node:
        """Make one more node, Active, which nothing accounts for yet."""
        index = len(self.machines)
        server = f'server{index:02d}'
        node = model.Node(
            index=index,
            name=f'{server}-0',
            uuid=self.new_uuid(),
            server_uuid=self.new_uuid(),
            server_name=server,
            failure_domain=options.failure_domain or server,
            data_address=(
                options.data_address
                or _data_address(self.options.listen, self._place, index)
            ),
            capacity=(
                options.capacity or self.options.capacity // self.options.nodes
            ),
        )
        self.machines.append(node)
        self.nodes.append(node)
        return node

    def remove_node(self, node: model.Node) -> None:
        """Let a node, on which nothing lives, be no member any more."""
        self.nodes.remove(node)
        node.state = model.NodeState.UNATTACHED
        self.publish()
        self._unpark()

    @property
    def nqn(self) -> str:
        """The NQN of the subsystem all volumes are namespaces of."""
        return _NQN + self.subsystem

    def now(self) -> float:
        """Return seconds since the epoch on the cluster's own clock."""
        return time.time() + self.clock_skew

    def new_uuid(self) -> str:
        """Return a random UUID (version 4)."""
        bits = self.rng.getrandbits(128)
        return str(uuidlib.UUID(int=bits, version=4))

    def next_number(self) -> int:
        """Return the next number in the order of creation."""
        self._number += 1
        return self._number

    def next_nsid(self) -> int:
        """Return the next namespace number of the subsystem."""
        self._nsid += 1
        return self._nsid

    def project(self, name: str) -> model.Project:
        """Return a project that is known to exist."""
        return self.projects[name]

    def become(self, uuid: str, *, wipe: bool) -> None:
        """Turn into another cluster at the same addresses.

        :param wipe: whether its volumes, snapshots and hosts are gone.
        """
        self.uuid = uuid
        self.subsystem = self.new_uuid()
        self.etag += 1
        if wipe:
            self.changes.close()
            self.timeline.close()
            self._parked.clear()
            self._delete_data()
            self._reset()
        self.publish()

    def drained(self, project: str) -> None:
        """Note that an object of the project is gone for good."""
        delay = self.delays.draw('project_drain', self.rng)
        if delay and project in self.projects:
            self.projects[project].busy_until = self.now() + delay

    def sync_usage(self, volume: model.Volume) -> None:
        """Learn from the data plane how much of a volume is in use."""
        if self.plane.measures and volume.top is not None:
            used = self.plane.used(volume.uuid)
            shared = sum(layer.used for layer in volume.layers)
            self.usage.set_used(volume.top, max(0, used - shared))

    def sync_all_usage(self) -> None:
        """Learn from the data plane how much of every volume is in use."""
        if self.plane.measures:
            for volume in self.volumes.by_uuid.values():
                self.sync_usage(volume)

    def depart(self, item: model.Resource) -> None:
        """Keep the last version of a removed object for stale reads."""
        item.history = ()
        self.departed[item.uuid] = item
        if len(self.departed) > _DEPARTED:
            self.departed.popitem(last=False)

    def settle(
        self,
        kind: str,
        item: model.Resource,
        finish: collections.abc.Callable[[], None],
    ) -> None:
        """Call `finish` when a change of `kind` is done: now, or later."""
        delay = self.delays.draw(kind, self.rng)
        if not delay:
            finish()
            return

        def arrive() -> None:
            if self.halted:
                self._parked.append(arrive)
                return
            item.remember()
            finish()

        self.changes.after(delay, arrive)

    def arrive(self, item: model.Resource, state: model.State) -> None:
        """Let an object reach a state by itself."""
        item.state = state
        if self.switches.bump_etag_on_state:
            item.etag += 1
        self.publish()

    def publish(self) -> None:
        """Let hosts see the cluster as it is, if the data plane has any."""
        if self.plane.serves_hosts:
            self.plane.publish(exports.picture(self))

    def check_etag(self, item: model.Resource, if_match: str | None) -> None:
        """Refuse a conditional call on another version of the object.

        :raises ApiError: 412, 400 or 500 by the switch.
        """
        if if_match is None:
            return
        expected = if_match.strip().strip('"')
        if expected == '*' and self.switches.if_match_star == 'any':
            return
        if expected != str(item.etag):
            status = self.switches.etag_mismatch
            text = (
                f'provided etag {expected} of {item.uuid} does not match '
                f'current etag {item.etag}'
            )
            raise errors.ApiError(
                errors.Code.FAILED_PRECONDITION,
                f'{text} code:412' if status == 500 else text,
                status,
            )

    def refuse_state(self, text: str) -> errors.ApiError:
        """Return the error of a state that forbids a call."""
        return errors.ApiError(
            errors.Code.FAILED_PRECONDITION,
            text,
            self.switches.failed_precondition,
        )

    def busy(self, item: model.Resource) -> errors.ApiError:
        """Return the error of an object in a passing state."""
        return errors.by_status(
            self.switches.busy_status,
            f'{item.uuid} is in state {item.state}, try again',
        )

    def halt(self) -> None:
        """Stop all nodes; what is under way waits for :meth:`resume`."""
        self.halted = True
        for node in self.nodes:
            self.stop_node(node.index)

    def resume(self) -> None:
        """Start all nodes; when they are active all else goes on."""
        for node in self.nodes:
            self.start_node(node.index)

    def _unpark(self) -> None:
        if not self.halted or not all(node.active for node in self.nodes):
            return
        self.halted = False
        parked, self._parked = self._parked, []
        for action in parked:
            action()

    def stop_node(self, index: int) -> None:
        """Stop the data role of a node; its API goes on."""
        node = self.machines[index]
        node.state = model.NodeState.INACTIVE
        node.etag += 1
        self.publish()

    def start_node(self, index: int) -> None:
        """Start the data role of a node, which takes `node_start`."""
        node = self.machines[index]
        if node.active:
            return
        node.state = model.NodeState.ACTIVATING
        node.etag += 1

        def arrive() -> None:
            if node.state is model.NodeState.ACTIVATING:
                node.state = model.NodeState.ACTIVE
                node.etag += 1
                self.publish()
                self._unpark()

        delay = self.delays.draw('node_start', self.rng)
        if delay:
            self.changes.after(delay, arrive)
        else:
            arrive()

    def close(self) -> None:
        """Cancel what is due and drop the data."""
        self.changes.close()
        self.timeline.close()
        self._delete_data()
        self.plane.close()

    def _delete_data(self) -> None:
        for uuid in (*self.volumes.by_uuid, *self.snapshots.by_uuid):
            self.plane.delete(uuid)


def _data_address(listen: str, number: int, index: int) -> str:
    """Return an address of the node's own; all of them are loopback."""
    if ':' in listen:
        return f'fd4c:6967:6874::{number + 1:x}:{index + 1:x}'
    return f'127.{64 + number // 250 % 64}.{number % 250 + 1}.{index + 1}'


def endpoint(address: str, port: int) -> str:
    """Return `ip:port`, with brackets around IPv6."""
    return f'[{address}]:{port}' if ':' in address else f'{address}:{port}'
