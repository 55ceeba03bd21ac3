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

"""A host that has got other addresses: its attachments and its access."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import json
from typing import Any, Protocol

from cinder_lightbits_federation import access
from cinder_lightbits_federation.access import HostAccess
from cinder_lightbits_federation.audit.changes import Action
from cinder_lightbits_federation.audit.changes import Done
from cinder_lightbits_federation.audit.changes import plain
from cinder_lightbits_federation.audit.changes import Task
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.audit.journal import Journal
from cinder_lightbits_federation.audit.proofs import Declined
from cinder_lightbits_federation.audit import steps
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.editor import Editor
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.timing import Deadline

ATTACHMENT = 'VolumeAttachment'
CONNECTOR = 'connector'

AmendRow = Callable[[str, str, Mapping[str, Any], Mapping[str, Any]], bool]
"""See `amend.amend_row`."""


class Attached(Protocol):
    """Reads attachments anew."""

    def __call__(self, volume_id: str) -> Sequence[Mapping[str, Any]]:
        """:returns: rows of the attachments of a volume."""


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """A host and the addresses it has now.

    :param name: its name or its NQN, as attachments have it.
    """

    name: str
    addresses: tuple[str, ...]

    def has(self, connector: Mapping[str, Any]) -> bool:
        """Whether a connector is of this host."""
        return self.name in (connector.get('host'), connector.get('nqn'))

    def readdressed(self, connector: Mapping[str, Any]) -> dict[str, Any]:
        """:returns: what the host would tell of itself now."""
        told = {**connector, 'host_ips': list(self.addresses)}
        if connector.get('ip') and connector['ip'] not in self.addresses:
            told['ip'] = self.addresses[0]
        return told


@dataclasses.dataclass(frozen=True, slots=True)
class Use:
    """A volume that the host has attached."""

    volume_id: str
    ref: VolumeRef


class Rehoster:
    """Brings attachments and access lists up to a host's addresses.

    Idempotent. The new addresses are let in before they are recorded, the
    old ones are taken out after: the host has access all the time, and what
    an interruption leaves is an address too many.

    :param journal: None for a trial run, which changes nothing.
    :param patience: seconds for one volume.
    """

    def __init__(self, editor: Editor, settings: FederationSettings,
                 attached: Attached, amend: AmendRow, host: Host,
                 journal: Journal | None, patience: float) -> None:
        self._editor = editor
        self._settings = settings
        self._attached = attached
        self._amend = amend
        self._host = host
        self._journal = journal
        self._patience = patience

    def refresh(self, use: Use) -> tuple[Task, Done]:
        """Bring one volume up to date."""
        task = Task(Action.REFRESH, (Finding(
            Kind.ADDRESS_MISSING, Severity.WARNING, 'volume',
            f'host {self._host.name} has the addresses '
            f'{", ".join(self._host.addresses)}', cinder_id=use.volume_id,
            object_name=use.ref.name, host=self._host.name),))
        return task, steps.carry_out(
            task, self._journal, lambda step: self._refresh(step, use))

    def _refresh(self, step: steps.Step, use: Use) -> None:
        deadline = Deadline.after(self._patience)
        rows = self._attached(use.volume_id)
        own = [row for row in rows if self._host.has(_connector(row))]
        stale = [row for row in own if self._told(row) != _connector(row)]
        old = frozenset[str]().union(*(self._access(_connector(row)).owned
                                       for row in own))
        # Others may let addresses go that no record names yet.
        for gone in (frozenset[str](), old):
            self._edit(step, use, rows, stale, gone, deadline)
            self._record(step, stale)
            stale = []

    def _edit(self, step: steps.Step, use: Use,
              rows: Sequence[Mapping[str, Any]],
              stale: Sequence[Mapping[str, Any]], gone: frozenset[str],
              deadline: Deadline) -> None:
        connectors = [_connector(row) for row in rows]
        others = [self._access(item) for item in connectors
                  if item.get('nqn') and not self._host.has(item)]
        hosts = [self._access(self._host.readdressed(item))
                 for item in connectors if self._host.has(item)]

        def wanted(_cluster: Cluster, now: model.Volume
                   ) -> model.VolumeChange | None:
            for host in hosts:
                change = access.readdress(now, host, gone, others,
                                          self._settings.use_ip_acl)
                if change is not None:
                    self._about(step, stale, now, change)
                    return change
            return None

        self._editor.change(use.ref, wanted, deadline)

    @staticmethod
    def _about(step: steps.Step, stale: Sequence[Mapping[str, Any]],
               now: model.Volume, change: model.VolumeChange) -> None:
        attachments = {row['id']: row[CONNECTOR] for row in stale}
        before = step.change.before if step.change else {}
        step.about_to({'attachments': attachments, **plain(now), **before},
                      plain(change))

    def _record(self, step: steps.Step, stale: Sequence[Mapping[str, Any]]
                ) -> None:
        for row in stale:
            text = json.dumps(self._told(row))
            if step.change is None:
                step.about_to({'attachments': {row['id']: row[CONNECTOR]}},
                              {'attachments': {row['id']: text}})
            if not self._amend(ATTACHMENT, row['id'],
                               {CONNECTOR: row[CONNECTOR]},
                               {CONNECTOR: text}):
                raise Declined('an attachment was changed meanwhile')

    def _told(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return self._host.readdressed(_connector(row))

    def _access(self, connector: Mapping[str, Any]) -> HostAccess:
        return HostAccess.of(
            str(connector['nqn']),
            [str(item) for item in connector.get('host_ips')
             or [connector[key] for key in ('ip',) if connector.get(key)]],
            self._settings.data_networks, str(connector.get('host') or ''))


def _connector(row: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(row.get(CONNECTOR) or '{}')
    return found
