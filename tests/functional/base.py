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

"""What the functional tests share: clusters, a service, a final audit."""

from __future__ import annotations

import pathlib
from typing import Any
import uuid

import fixtures
from oslotest import base
from testtools import content

from tests.embedded import arrays
from tests.embedded import cloud
from tests.embedded import federation
from tests.embedded import invariants
from tests.functional import work
from tests.simulator import control

CONNECTOR: dict[str, Any] = {
    'host': 'compute-1', 'ip': '192.0.2.11',
    'host_ips': ['192.0.2.11', '2001:db8::11'],
    'nqn': 'nqn.2014-08.org.nvmexpress:uuid:'
           '7b1d2f64-0000-4000-8000-0000000000c1',
    'found_dsc': 'found', 'os_type': 'linux2', 'platform': 'x86_64',
    'multipath': False}
SECOND_CONNECTOR: dict[str, Any] = CONNECTOR | {
    'host': 'compute-2', 'ip': '192.0.2.12', 'host_ips': ['192.0.2.12'],
    'nqn': 'nqn.2014-08.org.nvmexpress:uuid:'
           '7b1d2f64-0000-4000-8000-0000000000c2'}

_LOG_TAIL = 500_000


class FunctionalTest(work.Work, base.BaseTestCase):
    """One service of its own over clusters of its own.

    The simulator's process is shared by the tests of a worker; the clusters
    are not.
    """

    threads = False

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.federation_id = str(uuid.uuid4())
        self.simulator = control.Simulator.shared()
        self.clusters: dict[str, control.SimCluster] = {}
        self.before: list[arrays.Cluster] = []
        self._cloud: cloud.Cloud | None = None

    @property
    def cloud(self) -> cloud.Cloud:
        """The running service."""
        assert self._cloud is not None, 'the service was not started'
        return self._cloud

    def add_cluster(self, name: str, **options: Any) -> control.SimCluster:
        """Make a cluster that holds foreign objects; it goes at the end."""
        cluster = self.simulator.add_cluster(name, **options)
        self.addCleanup(cluster.remove)
        federation.seed_foreign(cluster)
        self.clusters[name] = cluster
        return cluster

    def section(self, name: str, access: str = 'system'
                ) -> federation.Section:
        """Return the configuration of a cluster made by `add_cluster`."""
        return federation.section(self.clusters[name],
                                  self.folder / 'tokens', access)

    def start(self, sections: list[federation.Section] | None = None,
              backend: dict[str, str] | None = None,
              service: str = '', data: bool = False,
              services: str = 'api,scheduler,volume') -> Any:
        """Start the service over all clusters; return the SDK's proxy.

        :param sections: of clusters, if not simply all of them.
        :param backend: options of the backend's section.
        :param service: text of one more file with options.
        :param data: the service attaches volumes; `add_cluster` was told
            that there is ``data_plane='sparse'``.
        :param services: which to run, by comma.
        """
        if sections is None:
            sections = [self.section(name) for name in self.clusters]
        # The machine may stand still for longer than clusters are given.
        options = {'lightbits_poll_interval': '1',
                   'lightbits_connect_timeout': '20',
                   'lightbits_api_timeout': '30', **(backend or {})}
        self._cloud = cloud.Cloud(
            self.folder / 'cinder', threads=self.threads,
            config=federation.config(sections, self.federation_id, options),
            services=services,
            data=pathlib.Path(self.simulator.state_dir) if data else None)
        self._cloud.drop_in('service', service)
        self.before = federation.contents(self.clusters.values())
        self.addCleanup(self._cloud.stop)
        self.addOnException(self._keep_log)
        self._cloud.start()
        return self._cloud.sdk()

    def on_array(self, volume: Any) -> tuple[str, dict[str, Any]]:
        """Return the cluster's name and the object of a volume, by name."""
        found = [(cluster.name, item) for cluster in self.clusters.values()
                 for item in cluster.state()['volumes']
                 if item['name'] == f'volume-{volume.id}'
                 and item['state'] not in ('Deleting', 'Deleted')]
        self.assertEqual(1, len(found), f'{volume.id}: {found}')
        return found[0]

    def findings(self) -> list[invariants.Finding]:
        """Compare the database with the clusters, and look at the logs."""
        found = invariants.check(
            self.cloud.records(),
            federation.contents(self.clusters.values()), self.before,
            invariants.Rules(self.federation_id))
        return found + invariants.check_logs(
            {'cinder.log': self.cloud.log()},
            federation.secrets(self.folder / 'tokens',
                               self.clusters.values()))

    def audit(self) -> None:
        """All invariants hold."""
        self.assertEqual([], [str(item) for item in self.findings()])

    def _keep_log(self, exc_info: object) -> None:
        self.addDetail('cinder.log', content.text_content(
            self.cloud.log()[-_LOG_TAIL:]))
