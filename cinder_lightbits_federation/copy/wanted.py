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

"""A thick clone as it is asked for: the parameters of its job."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

# Kinds of jobs: the clone becomes a volume of Cinder, or stays without.
THICK_CLONE = 'thick-clone'
FREE_CLONE = 'thick-clone-unmanaged'


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """A thick clone of a volume or a snapshot.

    :param source: UUID of it on its cluster.
    :param snapshot: whether it is a snapshot.
    :param source_cluster: UUID of the cluster.
    :param source_project: Lightbits project there.
    :param cluster: UUID of the cluster that the clone goes to.
    :param project: its Lightbits project, by its name in Cinder.
    :param name: of the clone: in Cinder, or on the cluster.
    :param size: bytes.
    :param replicas: how many it has.
    :param rate: bytes per second at most, 0 for no limit; None for what is
        configured.
    :param volume_type: name or ID, for Cinder.
    """

    source: str
    snapshot: bool
    source_cluster: str
    source_project: str
    cluster: str
    project: str
    name: str
    size: int
    replicas: int
    rate: int | None = None
    volume_type: str | None = None

    def dump(self) -> dict[str, Any]:
        """:returns: it as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def parse(cls, saved: Mapping[str, Any]) -> Wanted:
        """Read what `dump` wrote."""
        return cls(**saved)
