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
"""A stack over simulated clusters, and what must hold between the two."""

from __future__ import annotations

from collections.abc import Mapping
import pathlib
import tempfile
import types
from typing import Any
import uuid

from tests.embedded import arrays
from tests.embedded import federation
from tests.embedded import invariants
from tests.simulator import control
from tests.stack import mariadb
from tests.stack import settings
from tests.stack import stack

CLUSTERS = ('east', 'west', 'north')

# How the driver names the snapshots that clones are made of.
_INTERMEDIATE = 'for_clone_'

# None of the clusters falls silent, but the machine may stand still for a
# while; whoever silences one asks for shorter times.
_BACKEND = {'lightbits_poll_interval': '2',
            'lightbits_connect_timeout': '10',
            'lightbits_api_timeout': '10',
            'lightbits_operation_timeout': str(settings.OPERATION_TIMEOUT)}


class Bed:
    """Clusters with foreign objects on them, and Cinder in front.

    :param folder: takes all files; by default a temporary one that goes at
        the end.
    :param coordination: ``etcd`` or ``redis``.
    :param threads: native threads instead of eventlet.
    :param clusters: names, and options of the simulator for each.
    :param backend: options of the backend, beside the usual ones.
    :param more: sections for Cinder beside those of backend and clusters.
    """

    def __init__(self, folder: pathlib.Path | None = None, *,
                 coordination: str = 'etcd', threads: bool = False,
                 clusters: Mapping[str, Mapping[str, Any]] | None = None,
                 backend: Mapping[str, str] | None = None,
                 more: str = '') -> None:
        self._temporary = None
        if folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix='stack')
            folder = pathlib.Path(self._temporary.name)
        self.folder = folder
        self.federation_id = str(uuid.uuid4())
        self.simulator = control.Simulator.start(str(folder / 'simulator'))
        self.clusters = {
            name: self.simulator.add_cluster(name, **options)
            for name, options in (clusters or dict.fromkeys(
                CLUSTERS, {})).items()}
        # In the same database as Cinder's tables.
        store = mariadb.url_of(folder / 'stack' / 'mariadb')
        self._backend = {**_BACKEND, 'lightbits_store_connection': store,
                         **(backend or {})}
        self._more = more
        for cluster in self.clusters.values():
            federation.seed_foreign(cluster)
        self.before = federation.contents(self.clusters.values())
        self.stack = stack.Stack(folder / 'stack', self._config(),
                                 coordination=coordination, threads=threads)

    def __enter__(self) -> Bed:
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End everything at once and remove temporary files. Idempotent."""
        self.stack.close()
        self.simulator.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    def let_time_pass(self) -> int:
        """Let clusters finish what they do, and an hour go by.

        That is when a cluster removes the snapshot of a clone that was
        interrupted; one that has no such end stays, and is found.

        :returns: how many snapshots have gone.
        """
        gone = 0
        for cluster in self.clusters.values():
            cluster.settle()
            for item in cluster.state()['snapshots']:
                if (item['name'].startswith(_INTERMEDIATE)
                        and item['state'] == 'Available'
                        and item['retentionTime']):
                    _remove(cluster, item)
                    gone += 1
            cluster.settle()
        return gone

    def contents(self) -> list[arrays.Cluster]:
        """Return what the clusters hold now."""
        return federation.contents(self.clusters.values())

    def findings(self) -> list[str]:
        """Compare the database with the clusters, and look at the logs.

        :returns: one line for each thing that is wrong.
        """
        found = invariants.check(
            self.stack.records(), self.contents(), self.before,
            invariants.Rules(self.federation_id))
        found += invariants.check_logs(
            self.stack.logs(), federation.secrets(
                self.folder / 'tokens', self.clusters.values()))
        return [str(item) for item in found]

    def _config(self) -> str:
        sections = [federation.section(cluster, self.folder / 'tokens')
                    for cluster in self.clusters.values()]
        return self._more + federation.config(
            sections, self.federation_id, self._backend)


def _remove(cluster: control.SimCluster, item: Mapping[str, Any]) -> None:
    reply = cluster.request(
        'DELETE', f'/api/v2/projects/{item["projectName"]}/snapshots/'
        f'{item["UUID"]}')
    if reply.status != 200:
        raise AssertionError(f'{item["name"]}: {reply.body!r}')
