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

"""What each command needs: files, Cinder's database, roles at clusters.

One table, from which the help texts and the documentation are made.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum

UNUSED, READ, WRITTEN = 'not used', 'read', 'written'


class Role(enum.Enum):
    """What the cluster must let the configured token do."""

    NONE = 'none'
    """The command asks no cluster."""

    VIEWER = 'project viewer'
    """To read the volumes of the projects in use."""

    ADMIN = 'project admin'
    """To change them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Needs:
    """What a command needs.

    :param role: at least that, at each cluster that is asked.
    :param files: what it reads or writes of this host.
    :param database: what it does with Cinder's database.
    :param store: what it does with the services' own database. Whoever asks
        a cluster goes by the states that were set at run time, so reads it.
    :param better: what a role of the whole cluster adds.
    """

    role: Role
    files: str = 'reads the configuration'
    database: str = UNUSED
    store: str = READ
    better: str = ''

    def __str__(self) -> str:
        told = [f'Role at clusters: {self.role.value}'
                + (f' ({self.better})' if self.better else ''),
                f'files: {self.files}', f'database: {self.database}',
                f"the services' own: {self.store}"]
        return '; '.join(told) + '.'


_HEALTH = 'cluster viewer: health, version and the statistics, too'
_PROJECTS = 'cluster viewer: the list of projects, too'
_WRITES = 'writes the file of the cluster'

NEEDS: Mapping[str, Needs] = {
    'adopt back': Needs(Role.NONE, files='reads and writes the folder',
                        database='--yes writes', store=UNUSED),
    'adopt plan': Needs(Role.VIEWER, database='read'),
    'adopt resume': Needs(Role.NONE, files='reads and writes the folder',
                          database='written', store=UNUSED),
    'adopt run': Needs(Role.VIEWER, files='writes the folder',
                       database='read; --yes writes'),
    'audit': Needs(
        Role.VIEWER, files='reads the configuration; --repair writes the '
        'backup', database='read; --repair writes',
        better=f'{_PROJECTS}; --repair takes project admin'),
    'audit export': Needs(
        Role.NONE, files='reads the configuration; writes the export',
        database='read'),
    'audit purge': Needs(
        Role.ADMIN, files='reads the configuration; writes the backup',
        database='read', better=_PROJECTS),
    'audit reimport': Needs(
        Role.VIEWER, files='reads the configuration and exports; writes the '
        'backup', database='read; written to unless --dry-run',
        better=f'{_PROJECTS}; sizes and names take project admin'),
    'capacity': Needs(Role.VIEWER, database='read (growth)',
                      better=_HEALTH),
    'cluster attach': Needs(
        Role.VIEWER, files=_WRITES,
        store='read; written unless --dry-run or --print',
        better=_HEALTH),
    'cluster detach': Needs(
        Role.VIEWER, files='--yes removes the file of the cluster',
        database='read', store='read; --yes writes', better=_PROJECTS),
    'cluster list': Needs(Role.VIEWER, better=_HEALTH),
    'cluster refresh': Needs(Role.VIEWER, files=_WRITES),
    'cluster show': Needs(Role.VIEWER, better=_HEALTH),
    'cluster set': Needs(
        Role.NONE, store=WRITTEN,
        better='project viewer: UUIDs that nobody has told'),
    'cluster status': Needs(Role.NONE),
    'credential create': Needs(Role.NONE, files='writes the key pair',
                               store=UNUSED),
    'credential rotate': Needs(
        Role.VIEWER, files='writes a key pair, then the file of the '
        'cluster', database='read (projects of volume types)'),
    'credential show': Needs(
        Role.VIEWER, files='reads configuration and key',
        database='read (projects of volume types)'),
    'drain plan': Needs(Role.VIEWER, database='read', better=_HEALTH),
    'drain run': Needs(
        Role.VIEWER, files='reads the configuration and clouds.yaml',
        database='read', store=WRITTEN, better=_HEALTH),
    'exporter': Needs(Role.VIEWER, database='read', better=_HEALTH),
    'freeze': Needs(Role.NONE, store=WRITTEN),
    'host acl refresh': Needs(
        Role.ADMIN, files='reads the configuration; writes the backup',
        database='read; written to unless --dry-run'),
    'image delete': Needs(Role.ADMIN, database='read (projects of volume '
                          'types)', better=_PROJECTS),
    'image list': Needs(Role.VIEWER, database='read (projects of volume '
                        'types)', better=_PROJECTS),
    'image show': Needs(Role.VIEWER, database='read (projects of volume '
                        'types)', better=_PROJECTS),
    'job cancel': Needs(Role.NONE, store=WRITTEN),
    'job list': Needs(Role.NONE),
    'job resume': Needs(Role.NONE, store=WRITTEN),
    'job show': Needs(Role.NONE),
    'placement explain': Needs(Role.VIEWER, database='read',
                               better=_HEALTH),
    'placement last': Needs(Role.NONE),
    'pools check-switch': Needs(Role.VIEWER, database='read; --yes writes'),
    'rebalance plan': Needs(Role.VIEWER, database='read', better=_HEALTH),
    'rebalance run': Needs(
        Role.VIEWER, files='reads the configuration and clouds.yaml',
        database='read', store=WRITTEN, better=_HEALTH),
    'snapshot clone': Needs(
        Role.VIEWER, database='read', store=WRITTEN,
        better=_PROJECTS),
    'snapshot list': Needs(Role.VIEWER, database='read', better=_PROJECTS),
    'snapshot show': Needs(Role.VIEWER, database='read', better=_PROJECTS),
    'thaw': Needs(Role.NONE, store=WRITTEN),
    'upgrade finalize': Needs(Role.NONE, database='read (services)',
                              store=WRITTEN),
    'upgrade status': Needs(Role.NONE, database='read (services)'),
    'volume clone': Needs(
        Role.VIEWER, database='read', store=WRITTEN,
        better=_PROJECTS),
    'volume list': Needs(Role.VIEWER, database='read', better=_PROJECTS),
    'volume show': Needs(Role.VIEWER, database='read', better=_PROJECTS),
}


def of(command: str) -> str:
    """:returns: a sentence for the help of a command, empty if unknown."""
    needs = NEEDS.get(command)
    return str(needs) if needs is not None else ''
