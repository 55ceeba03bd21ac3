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

"""A configuration and Cinder's tables in a file, without any service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import pathlib
import subprocess

from tests.embedded import command
from tests.embedded import federation
from tests.simulator import control

FEDERATION = '0d1c9d3e-6b0a-4d53-9f4e-2b7c0c5a1f10'


class Standalone:
    """What commands need to work.

    :param folder: takes the files.
    :param clusters: by their names in the configuration.
    :param backend: options of the backend, beside those it always needs.
    :param sections: more of them.
    """

    def __init__(self, folder: pathlib.Path,
                 clusters: Mapping[str, control.SimCluster],
                 backend: federation.Options | None = None,
                 sections: Iterable[federation.Section] = ()) -> None:
        self._folder = folder
        self._clusters = clusters
        self._backend = backend
        self._sections = tuple(sections)
        self.database = folder / 'cinder.sqlite'
        self.write()

    @property
    def arguments(self) -> list[str]:
        """What tells a process where the configuration is."""
        return ['--config-file', str(self._folder / 'cinder.conf')]

    def write(self, **extra: federation.Options) -> None:
        """Write the file of a service.

        :param extra: more options for clusters, by name.
        """
        own = (federation.Section('DEFAULT', {
            'host': 'stor1', 'state_path': str(self._folder)}),
            federation.Section('database', {
                'connection': f'sqlite:///{self.database}'}))
        clusters = [federation.Section(f'lightbits_cluster:{name}', {
            'api_endpoints': cluster.api_endpoints[0],
            'tls_ca_file': cluster.ca_file, 'jwt': cluster.admin_token,
            **extra.get(name, {})})
            for name, cluster in self._clusters.items()]
        federation.write_private(
            self._folder / 'cinder.conf',
            federation.config([*own, *clusters, *self._sections],
                              FEDERATION, self._backend))

    def make_tables(self) -> None:
        """Make Cinder's tables."""
        subprocess.run(command.tables(self.arguments), check=True,
                       capture_output=True, timeout=120)

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            command.federation(self.arguments, *argv), capture_output=True,
            text=True, timeout=120, check=False)
