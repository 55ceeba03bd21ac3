#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""What Cinder's database says about volumes, snapshots and attachments."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import contextlib
import dataclasses
import json
import pathlib
import sqlite3
from typing import Any

# Has services that do not run count as down at once.
LONG_AGO = "UPDATE services SET updated_at = '2001-01-01 00:00:00'"


@dataclasses.dataclass(frozen=True, slots=True)
class Volume:
    """A volume that is not deleted.

    :ivar name_id: the id the object on the array is named for.
    :ivar size_gib: GiB.
    """

    id: str
    name_id: str
    status: str
    size_gib: int
    provider_location: str | None
    host: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that is not deleted.

    :ivar size_gib: GiB, of the volume when the snapshot was taken.
    """

    id: str
    volume_id: str
    status: str
    size_gib: int
    provider_location: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment that is not deleted.

    :ivar nqn: of the host; None while only reserved.
    :ivar host_ips: addresses the host's connector named.
    """

    id: str
    volume_id: str
    status: str
    nqn: str | None
    host_ips: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class CinderRecords:
    """A consistent view of the database."""

    volumes: tuple[Volume, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    attachments: tuple[Attachment, ...] = ()


_VOLUMES = """\
SELECT id, coalesce(_name_id, id), status, size, provider_location, host
FROM volumes WHERE NOT deleted ORDER BY id"""
_SNAPSHOTS = """\
SELECT id, volume_id, status, volume_size, provider_location
FROM snapshots WHERE NOT deleted ORDER BY id"""
_ATTACHMENTS = """\
SELECT id, volume_id, attach_status, connector
FROM volume_attachment WHERE NOT deleted ORDER BY id"""


def load(database: pathlib.Path) -> CinderRecords:
    """Read the database of an embedded service, running or not.

    :param database: the SQLite file.
    """
    with contextlib.closing(sqlite3.connect(
            f'file:{database}?mode=ro', uri=True, timeout=30)) as link:
        link.execute('BEGIN')
        return read(link.execute)


def read(query: Callable[[str], Iterable[tuple[Any, ...]]]) -> CinderRecords:
    """Read a database of any kind, inside the transaction of the caller.

    :param query: runs a statement and returns its rows.
    """
    return CinderRecords(
        tuple(Volume(*row) for row in query(_VOLUMES)),
        tuple(Snapshot(*row) for row in query(_SNAPSHOTS)),
        tuple(_attachment(*row) for row in query(_ATTACHMENTS)))


def _attachment(attachment_id: str, volume_id: str, status: str,
                connector: str | None) -> Attachment:
    known: dict[str, Any] = json.loads(connector) if connector else {}
    return Attachment(attachment_id, volume_id, status, known.get('nqn'),
                      tuple(known.get('host_ips') or ()))
