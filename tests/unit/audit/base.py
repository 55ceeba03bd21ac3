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

"""A driver, its clusters and Cinder's database, to be audited."""

from __future__ import annotations

from typing import Any

from cinder import objects

from cinder_lightbits_federation.audit import arrays
from cinder_lightbits_federation.audit import collect
from cinder_lightbits_federation.audit import database
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.lightbits import model
from tests.unit.driver import base

GIB = base.GIB


class AuditTestCase(base.FederationTestCase):
    """Two clusters, a driver over them, and an audit of both sides."""

    CLUSTERS: tuple[str, ...] = ('east', 'west')

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()

    def write_config(self, clusters: Any, **backend: Any) -> str:
        """Leave clusters more time than a busy machine takes."""
        patience = {'lightbits_api_timeout': 30,
                    'lightbits_connect_timeout': 10}
        return super().write_config(clusters, **{**patience, **backend})

    @property
    def registry(self) -> Any:
        """The clusters, as the driver has them."""
        return self.driver.federation.registry

    def ledger(self, **options: Any) -> database.Database:
        """:returns: the records of the driver's backend."""
        return database.Database(base.HOST, None, **options)

    def arrays_seen(self, **options: Any) -> arrays.Arrays:
        """:returns: the clusters to be read."""
        return arrays.Arrays(self.registry,
                             options.pop('projects', ['default']), **options)

    def auditor(self, ledger: collect.Ledger | None = None, **options: Any
                ) -> collect.Auditor:
        """:returns: an audit that judges young objects, too."""
        return collect.Auditor(
            self.arrays_seen(**options), ledger or self.ledger(),
            self.driver.federation.owner, settle=0, grace=0)

    def audit(self, **options: Any) -> collect.Report:
        """Audit."""
        return self.auditor(**options).run()

    def kinds(self, **options: Any) -> list[Kind]:
        """:returns: the kinds of all findings."""
        return [item.kind for item in self.audit(**options).findings]

    def only(self, **options: Any) -> Finding:
        """:returns: the one finding there is."""
        found = self.audit(**options).findings
        self.assertEqual(1, len(found), [str(item) for item in found])
        return found[0]

    def settle(self) -> None:
        """Let clusters finish what they are doing."""
        for array in self.arrays.values():
            array.settle()

    def make(self, cluster: str, name: str, **fields: Any) -> dict[str, Any]:
        """Make a volume by the cluster's own means."""
        made = self.ask(cluster, 'POST', 'volumes', name=name, **{
            'size': '1gib', 'replicaCount': 1,
            'acl': {'values': [model.ALLOW_NONE]}, **fields})
        self.settle()
        return made

    def ask(self, cluster: str, method: str, path: str,
            **fields: Any) -> dict[str, Any]:
        """Do something on a cluster behind Cinder's back."""
        project = fields.pop('project', 'default')
        reply = self.arrays[cluster].request(
            method, f'/api/v2/projects/{project}/{path}',
            json=fields or None)
        self.assertEqual(200, reply.status, reply.body)
        answer: dict[str, Any] = reply.json()
        return answer

    def array_of(self, record: Any) -> tuple[str, str]:
        """:returns: cluster name and UUID of a record's object."""
        cluster, found = self.on(record)
        return cluster, found['UUID']

    def change(self, record: Any, **fields: Any) -> None:
        """Change a volume on its cluster behind Cinder's back."""
        cluster, uuid = self.array_of(record)
        self.ask(cluster, 'PUT', f'volumes/{uuid}', **fields)
        self.settle()

    def forget(self, record: Any) -> None:
        """Lose a record."""
        objects.Volume.get_by_id(self.context, record.id).destroy()

    def taken(self, volume: Any) -> Any:
        """:returns: a snapshot that exists, on record and on a cluster."""
        record = self.snapshot(volume)
        self.saved(record, self.driver.create_snapshot(record))
        record.status = 'available'
        record.save()
        return record
