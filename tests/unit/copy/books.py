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

"""Cinder, as far as thick clones know it: volumes that it takes over.

The driver's part of managing is the real one. What Cinder knows is in a
file, so it outlives the process that asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
import pathlib
from typing import Any
import uuid as uuidlib

from cinder_lightbits_federation.copy.delivery import Entry
from cinder_lightbits_federation.copy.wanted import Wanted
from cinder_lightbits_federation.federation import Federation
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation.manage import Existing
from cinder_lightbits_federation.manage import NotManageable
from cinder_lightbits_federation.refs import VolumeRef


class _Row:
    """The record of one volume."""

    def __init__(self, books: Books, volume_id: str) -> None:
        self._books = books
        self._id = volume_id

    def record(self, location: Location) -> None:
        """See `refs.Recorder`."""
        self._books.note(self._id, location=str(location))


class Books:
    """See `delivery.Registrar`.

    :param path: of the file.
    """

    def __init__(self, federation: Federation, path: str) -> None:
        self._federation = federation
        self._path = pathlib.Path(path)

    def all(self) -> dict[str, dict[str, Any]]:
        """:returns: what is known of each volume, by its id."""
        if not self._path.exists():
            return {}
        found: dict[str, dict[str, Any]] = json.loads(self._path.read_text())
        return found

    def note(self, volume_id: str, **fields: Any) -> None:
        """Change what is known of a volume."""
        known = self.all()
        known[volume_id] = {**known.get(volume_id, {}), **fields}
        self._write(known)

    def find(self, mark: str) -> Sequence[Entry]:
        """See `Registrar`."""
        return [Entry(key, item['status'])
                for key, item in self.all().items() if item['mark'] == mark]

    def manage(self, mark: str, reference: Mapping[str, str], pool: str,
               wanted: Wanted) -> None:
        """See `Registrar`."""
        key = str(uuidlib.uuid4())
        self.note(key, mark=mark, status='managing', name=wanted.name,
                  pool=pool)
        manage, deadline = self._federation.manage, self._federation.deadline
        try:
            found = manage.find_volume(
                Existing.parse(reference, 'default'), deadline())
            manage.adopt_volume(found, self._ref(key, found.project),
                                found.thing.size, _Row(self, key),
                                deadline())
        except NotManageable as exc:
            self.note(key, status='error_managing', why=str(exc))
        else:
            self.note(key, status='available')

    def unmark(self, volume_id: str) -> None:
        """See `Registrar`."""
        self.note(volume_id, mark='')

    def forget(self, entry: Entry) -> None:
        """See `Registrar`."""
        known = self.all()
        text = known.pop(entry.id).get('location')
        if text is not None:
            location = Location.parse(text)
            self._federation.manage.release_volume(
                self._ref(entry.id, location.project, location),
                self._federation.deadline())
        self._write(known)

    @staticmethod
    def _ref(key: str, project: str, location: Location | None = None
             ) -> VolumeRef:
        return VolumeRef(f'volume-{key}', key, project, location)

    def _write(self, known: Mapping[str, Any]) -> None:
        fresh = self._path.with_suffix('.new')
        fresh.write_text(json.dumps(known))
        fresh.replace(self._path)
