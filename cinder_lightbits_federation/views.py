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

"""What placement sees of a cluster: one frozen value per question."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum

from cinder_lightbits_federation import capacity as capacities


class AdminState(enum.Enum):
    """What the operator wants of a cluster."""

    ENABLED = 'enabled'
    DISABLED = 'disabled'
    """No new volumes; those that are there keep working."""

    DRAINING = 'draining'
    """No new volumes; those that are there are moved away."""

    LOST = 'lost'
    """Gone for good: nothing is asked of it any more."""


class Use(enum.Enum):
    """What a cluster can be used for."""

    CREATE = 'new volumes'
    """Volumes that start empty or from an image."""

    COPY = 'clones and volumes from snapshots'
    """Thin copies, which live beside their source."""

    CHANGE = 'extend, snapshot, revert, attach, detach, delete'
    """What is done to volumes that are there."""

    ASK = 'status, search and statistics'
    """Asking it at all; searches need the answer of all that may be asked."""


# The one table of what an administrative state allows.
ALLOWED: Mapping[AdminState, frozenset[Use]] = {
    AdminState.ENABLED: frozenset(Use),
    AdminState.DISABLED: frozenset(Use) - {Use.CREATE},
    AdminState.DRAINING: frozenset(Use) - {Use.CREATE},
    AdminState.LOST: frozenset(),
}


class Connection(enum.Enum):
    """How the cluster can be used now."""

    CONNECTING = 'connecting'
    CONNECTED = 'connected'
    DISCONNECTED = 'disconnected'
    UNAUTHORIZED = 'unauthorized'
    WRONG_IDENTITY = 'wrong identity'
    MISCONFIGURED = 'misconfigured'


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster as it is known at one moment. Sizes in bytes.

    Facts the token may not read are None and taken to be fine: the cluster
    itself refuses what is not.

    :param reason: why it is not connected.
    :param reserved: promised by this service and not in `capacity` yet,
        replicas counted.
    :param max_replicas: replica count it can serve now.
    :param projects: names of its Lightbits projects.
    :param qos_policies: UUIDs of its QoS policies by name.
    :param failure_domains: those of its nodes.
    :param upgrading: an upgrade of the array's software is under way.
    :param recent_creates: new volumes it got lately.
    :param observed_at: monotonic seconds when `capacity` began to be read;
        None without one.
    :param unknown_to: live services of the backend that do not know it.
    """

    uuid: str
    name: str
    admin_state: AdminState = AdminState.ENABLED
    connection: Connection = Connection.CONNECTED
    reason: str = ''
    capacity: capacities.Capacity | None = None
    reserved: int = 0
    max_replicas: int | None = None
    projects: frozenset[str] | None = None
    qos_policies: Mapping[str, str] | None = None
    failure_domains: frozenset[str] | None = None
    upgrading: bool = False
    recent_creates: int = 0
    observed_at: float | None = None
    unknown_to: tuple[str, ...] = ()

    @property
    def load(self) -> int:
        """Bytes promised so far, shown by its statistics or not."""
        known = self.capacity.provisioned if self.capacity else 0
        return known + self.reserved

    @property
    def accepts_volumes(self) -> bool:
        """Whether it takes part in the backend's capacity."""
        return not self.closed_because

    @property
    def closed_because(self) -> str:
        """Why it gets no new volumes; empty if it does."""
        if Use.CREATE not in ALLOWED[self.admin_state]:
            return self.admin_state.value
        if self.connection is not Connection.CONNECTED:
            return self.reason or self.connection.value
        if self.unknown_to:
            return f'not known to {", ".join(self.unknown_to)}'
        return ''

    def ratio(self, extra: int = 0) -> float | None:
        """Share of its room that is promised, reservations included.

        :param extra: bytes to count as well, replicas counted.
        :returns: None when its total is not known.
        """
        if self.capacity is None:
            return None
        return self.capacity.ratio(self.reserved + extra)
