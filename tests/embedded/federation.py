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

"""Simulated clusters as one federation: configuration, contents, secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import dataclasses
import pathlib
from typing import Any

from tests.embedded import arrays
from tests import replacing
from tests.simulator import control

DRIVER = 'cinder_lightbits_federation.driver.LightbitsFederationDriver'
BACKEND = 'lightbits'
FOREIGN_OWNER = 'container-platform'

Options = Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """A section of a ``cinder.conf``, values as they are to be written."""

    name: str
    options: Options

    def __str__(self) -> str:
        lines = [f'{key} = {value}\n' for key, value in self.options.items()]
        return f'[{self.name}]\n{"".join(lines)}'

    def with_options(self, **changes: str | None) -> Section:
        """Return it with options set; None leaves one out."""
        merged = {**self.options, **changes}
        return Section(self.name, {key: value for key, value
                                   in merged.items() if value is not None})


def config(clusters: Iterable[Section], federation_id: str,
           backend: Options | None = None) -> str:
    """Return the text of a ``cinder.conf`` with one backend.

    :param clusters: from :func:`section`.
    :param backend: options of the backend's section, beside those it always
        needs.
    """
    return '\n'.join(map(str, [
        Section('DEFAULT', {'enabled_backends': BACKEND}),
        Section(BACKEND, {'volume_driver': DRIVER,
                          'volume_backend_name': BACKEND,
                          'lightbits_federation_id': federation_id,
                          **(backend or {})}),
        *clusters]))


def section(cluster: control.SimCluster, folder: pathlib.Path,
            access: str = 'system') -> Section:
    """Return the section of one cluster.

    :param folder: takes the token file.
    :param access: ``system`` or ``project`` for a token file of that scope,
        ``minted`` for tokens the service makes with a key.
    """
    options = {'api_endpoints': cluster.api_endpoints[0],
               'cluster_uuid': cluster.uuid,
               'tls_ca_file': cluster.ca_file,
               'tls_server_name': cluster.server_name}
    if access == 'minted':
        options |= {'credential_id': cluster.credential_id,
                    'private_key_file': cluster.private_key_file,
                    'token_scope': 'system'}
    else:
        scope = 'system' if access == 'system' else 'default'
        path = folder / f'{cluster.name}.jwt'
        write_private(path, cluster.token(scope=scope))
        options['jwt_file'] = str(path)
    return Section(f'lightbits_cluster:{cluster.name}', options)


def write_private(path: pathlib.Path, text: str) -> None:
    """Write a file that only its owner can read, all at once."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replacing.replace(path, text, 0o600)


def contents(clusters: Iterable[control.SimCluster]) -> list[arrays.Cluster]:
    """Return what clusters hold now; stopped ones answer here, too."""
    return [arrays.load(cluster.name, cluster.uuid, cluster.state())
            for cluster in clusters]


def seed_foreign(cluster: control.SimCluster, count: int = 2) -> None:
    """Create volumes and a snapshot of somebody else's on a cluster.

    One volume bears no label and a name as Cinder gives them: a volume of
    another cloud that is too old for labels.
    """
    for number in range(count):
        labels = [{'key': 'owner', 'value': FOREIGN_OWNER}]
        name = f'pvc-{cluster.name}-{number}'
        if number == 0:
            labels = []
            name = f'volume-00000000-0000-4000-8000-{number:012d}'
        made = _make(cluster, 'volumes', {
            'name': name, 'size': '1073741824', 'replicaCount': 1,
            'acl': {'values': [arrays.NOBODY]}, 'labels': labels})
    _make(cluster, 'snapshots', {'name': f'backup-{cluster.name}',
                                 'sourceVolumeUUID': made['UUID']})


def _make(cluster: control.SimCluster, kind: str,
          body: Mapping[str, Any]) -> dict[str, Any]:
    reply = cluster.request('POST', f'/api/v2/projects/default/{kind}', body)
    if reply.status != 200:
        raise AssertionError(f'{kind}: {reply.status} {reply.body!r}')
    made: dict[str, Any] = reply.json()
    return made


def secrets(folder: pathlib.Path,
            clusters: Iterable[control.SimCluster]) -> list[str]:
    """Return what no log may hold: tokens, their signatures, keys.

    :param folder: where :func:`section` put the token files.
    """
    found: list[str] = []
    for path in sorted(folder.glob('*.jwt')):
        token = path.read_text().strip()
        found += [token, token.rpartition('.')[2]]
    for cluster in clusters:
        lines = pathlib.Path(cluster.private_key_file).read_text().split()
        found += [line for line in lines if len(line) > 40]
    return found
