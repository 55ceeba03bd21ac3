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

"""A cluster that was declared lost comes back: look before it serves.

While it was lost, what was on it counted as gone. Volumes may have been
deleted in Cinder that are still there, and snapshots; so the books are
compared first, and what disagrees is told.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses

from oslo_log import log as logging

from cinder_lightbits_federation.audit.arrays import Arrays
from cinder_lightbits_federation.audit.collect import Auditor
from cinder_lightbits_federation.audit.database import Database
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.ownership import Owner
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation.settings import ClusterSettings
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.views import AdminState

LOG = logging.getLogger(__name__)


def returning(before: Iterable[ClusterSettings],
              after: Iterable[ClusterSettings],
              remembered: Iterable[str]) -> list[ClusterSettings]:
    """:param remembered: names of those that were lost at an earlier time.

    :returns: the clusters that were lost and are not any more.
    """
    lost = {item.name for item in before
            if item.admin_state is AdminState.LOST} | set(remembered)
    return [item for item in after
            if item.name in lost and item.admin_state is not AdminState.LOST]


def held_back(settings: FederationSettings, names: Iterable[str]
              ) -> FederationSettings:
    """:returns: the settings with some clusters lost as before."""
    kept = frozenset(names)
    return dataclasses.replace(settings, clusters=tuple(
        dataclasses.replace(item, admin_state=AdminState.LOST,
                            signature=f'{item.signature}-lost')
        if item.name in kept else item for item in settings.clusters))


def audited(settings: FederationSettings, item: ClusterSettings,
            ledger: Database) -> bool:
    """Compare one cluster with the records and tell what disagrees.

    :returns: whether the cluster could be asked; findings do not keep it
        from serving, since every operation proves what it works on.
    """
    registry = Registry(dataclasses.replace(settings, clusters=(item,),
                                            broken=()))
    try:
        # Nothing was made there lately: no object is too young to judge.
        report = Auditor(Arrays(registry, [settings.project], True), ledger,
                         Owner(settings.federation_id), grace=0).run()
    finally:
        registry.stop()
    if item.name in report.silent:
        LOG.error('Cluster %s is to serve again but cannot be audited: it '
                  'stays lost until it answers.', item.name)
        return False
    found = [finding for finding in report.findings
             if finding.cluster == item.name
             and finding.severity is not Severity.IN_FLIGHT]
    _tell(item.name, found)
    return True


def _tell(name: str, found: list[Finding]) -> None:
    LOG.warning('Cluster %s serves again; its audit has %d findings.', name,
                len(found))
    for finding in found:
        LOG.warning('Cluster %s: %s', name, finding)
