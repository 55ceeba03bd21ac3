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

"""States and other enumerations of the management API v2.

They are names, and the list of names grows with releases.
"""

from __future__ import annotations

import enum
from typing import Self


class ApiEnum(enum.Enum):
    """An enum of the API; a value this version does not know is UNKNOWN."""

    @classmethod
    def _missing_(cls, value: object) -> Self:
        return cls('Unknown')


class VolumeState(ApiEnum):
    UNKNOWN = 'Unknown'
    CREATING = 'Creating'
    AVAILABLE = 'Available'
    DELETING = 'Deleting'
    DELETED = 'Deleted'
    FAILED = 'Failed'
    UPDATING = 'Updating'
    ROLLBACK = 'Rollback'
    MIGRATING = 'Migrating'

    @property
    def settled(self) -> bool:
        """Whether the volume is usable and no change is under way.

        The cluster moves replicas in Migrating; I/O goes on.
        """
        return self in (VolumeState.AVAILABLE, VolumeState.MIGRATING)

    @property
    def going(self) -> bool:
        """Whether a delete was accepted."""
        return self in (VolumeState.DELETING, VolumeState.DELETED)


class SnapshotState(ApiEnum):
    UNKNOWN = 'Unknown'
    CREATING = 'Creating'
    AVAILABLE = 'Available'
    DELETING = 'Deleting'
    DELETED = 'Deleted'
    FAILED = 'Failed'

    @property
    def going(self) -> bool:
        """Whether a delete was accepted."""
        return self in (SnapshotState.DELETING, SnapshotState.DELETED)


class ProtectionState(ApiEnum):
    UNKNOWN = 'Unknown'
    FULLY_PROTECTED = 'FullyProtected'
    DEGRADED = 'Degraded'
    READ_ONLY = 'ReadOnly'
    NOT_AVAILABLE = 'NotAvailable'


class NodeState(ApiEnum):
    UNKNOWN = 'Unknown'
    ACTIVE = 'Active'
    ACTIVATING = 'Activating'
    INACTIVE = 'Inactive'
    UNATTACHED = 'Unattached'
    ATTACHING = 'Attaching'
    DETACHING = 'Detaching'


class HealthState(ApiEnum):
    UNKNOWN = 'Unknown'
    NONE = 'None'
    OK = 'OK'
    WARNING = 'Warning'
    ERROR = 'Error'


class UpgradeStatus(ApiEnum):
    UNKNOWN = 'Unknown'
    NONE = 'None'
    FAILED = 'UpgradeFailed'
    UPGRADING = 'Upgrading'


class PolicyState(ApiEnum):
    UNKNOWN = 'Unknown'
    CREATING = 'Creating'
    ACTIVE = 'Active'
    UPDATING = 'Updating'
    DEPRECATED = 'Deprecated'
    FAILED = 'Failed'


class SectorSize(enum.Enum):
    """Sector sizes as a create request names them."""

    DEFAULT = 'sectorSize_Default'
    B512 = 'sectorSize_512B'
    B4096 = 'sectorSize_4K'
