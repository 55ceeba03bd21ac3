# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The configuration as frozen values; built once by ``loader.py``."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum
import ipaddress

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.goldenrules import GoldenPolicy
from cinder_lightbits_federation.lightbits import config as lb_config
from cinder_lightbits_federation.lightbits import tokens as lb_tokens
from cinder_lightbits_federation.room import PlacementPolicy
from cinder_lightbits_federation.views import AdminState

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class PoolMode(enum.Enum):
    """What Cinder sees as pools."""

    FEDERATION = 'federation'
    CLUSTER = 'cluster'


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterSettings:
    """One ``[lightbits_cluster:NAME]`` section.

    :param token_option: the option that provides the token, for messages.
    :param trust_option: the option that decides whom to trust, likewise.
    :param token_scope: of minted tokens; None where none are minted.
    :param credential_lifetime: days after which a key is to be replaced; 0
        for never.
    :param signature: differs when anything in the section does.
    :param token_signature: differs when the source of tokens does.
    :param project_map: project names on this cluster where they differ.
    """

    name: str
    section: str
    client: lb_config.ClientConfig
    tokens: lb_tokens.TokenSource
    admin_state: AdminState
    project_map: Mapping[str, str]
    token_option: str
    trust_option: str
    token_scope: lb_tokens.TokenScope | None = None
    credential_lifetime: int = 0
    signature: str = ''
    token_signature: str = ''

    def same_client(self, other: ClusterSettings) -> bool:
        """Whether a client made for one serves for the other too."""
        return (self.client == other.client
                and self.token_signature == other.token_signature)

    def project(self, name: str) -> str:
        """:returns: what a project is called on this cluster."""
        return self.project_map.get(name, name)


@dataclasses.dataclass(frozen=True, slots=True)
class BrokenCluster:
    """A section that cannot be used, and why."""

    name: str
    problem: errors.SettingProblem


@dataclasses.dataclass(frozen=True, slots=True)
class CopySettings:
    """How volumes are copied between clusters.

    :param rate: bytes per second of one copy; 0 is no limit.
    :param jobs: copies at a time per cluster, on all hosts together.
    :param verify: read back and compare.
    :param clones: whether a clone may be made by copying.
    :param retypes: whether a retype may move a volume by copying.
    """

    rate: int
    jobs: int
    verify: bool
    clones: bool
    retypes: bool


@dataclasses.dataclass(frozen=True, slots=True)
class FederationSettings:
    """A backend section and its clusters.

    :param operation_timeout: seconds for an operation with all its waiting.
    :param poll_interval: seconds between two looks at a cluster.
    :param policy: how to place.
    :param golden: what to do about golden images.
    :param files: paths of what the sections name and what is read with them,
        be it there or not.
    """

    section: str
    federation_id: str
    clusters: tuple[ClusterSettings, ...]
    broken: tuple[BrokenCluster, ...]
    project: str
    default_replicas: int
    default_compression: bool
    use_ip_acl: bool
    data_networks: tuple[Network, ...]
    connect_timeout: float
    operation_timeout: float
    poll_interval: float
    pools: PoolMode
    policy: PlacementPolicy
    copies: CopySettings
    golden: GoldenPolicy
    files: tuple[str, ...] = ()
