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

"""What the federation raises; ``exception.py`` turns it into Cinder's.

::

    FederationError
     +- InvalidConfiguration  what the files say cannot be used
     |   +- InvalidSetting   an option is wrong (section, option, why)
     |   +- UnreadableFile   a file is missing or not in its form
     +- NoClusterFits        no cluster could take it; nothing was created
     +- ClusterUnavailable   the one cluster that matters does not answer
     +- UnknownCluster       a record names a cluster that is not configured
     +- OutcomeUnknown       something may have been created or changed
     +- RecordLost           the database row was changed by somebody else
     +- NameTaken            a foreign object has the name on the cluster
     +- IdentityMismatch     the object at the recorded place is not ours
     +- ObjectMissing        every cluster that matters says "not there"
     +- OperationFailed      the cluster refused or failed the operation
 +- StoreUnavailable     what services share cannot be read or written
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses


class FederationError(Exception):
    """Root of what the federation raises; the message has no secrets."""


@dataclasses.dataclass(frozen=True, slots=True)
class SettingProblem:
    """Why an entry of the configuration cannot be used."""

    section: str
    option: str
    why: str

    def __str__(self) -> str:
        return f'[{self.section}] {self.option}: {self.why}'


class InvalidConfiguration(FederationError):
    """What the configuration files say cannot be used."""


class UnreadableFile(InvalidConfiguration):
    """A configuration file is missing, closed to us, or not in its form."""


class InvalidSetting(InvalidConfiguration):
    """An option is wrong."""

    def __init__(self, section: str, option: str, why: str) -> None:
        self.problem = SettingProblem(section, option, why)
        super().__init__(str(self.problem))


class NoClusterFits(FederationError):
    """No cluster could take the object; nothing was created."""

    def __init__(self, what: str, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        told = '; '.join(reasons) or 'no cluster is configured'
        super().__init__(f'no cluster can take {what}: {told}')


class ClusterUnavailable(FederationError):
    """The cluster that has to answer does not; nothing was changed."""


class UnknownCluster(FederationError):
    """A record names a cluster that is not known here."""


class OutcomeUnknown(FederationError):
    """An object may have been created or changed; it was not forgotten."""


class RecordLost(FederationError):
    """The database row was changed or deleted by somebody else."""


class NameTaken(FederationError):
    """An object that is not provably ours has the name."""


class IdentityMismatch(FederationError):
    """The object at the recorded place is not the recorded one."""


class ObjectMissing(FederationError):
    """Every cluster that could have the object says it has not."""


class OperationFailed(FederationError):
    """The cluster refused the operation or failed at it."""


class StoreUnavailable(FederationError):
    """The database that services share does not work; nothing was changed."""
