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

"""Where an object lives: the text kept in Cinder's ``provider_location``.

It holds identity, never addresses::

    lbf1:<cluster UUID>:<name_id>:<object UUID or ->:<attempt or ->:<project>

At most 255 characters (the column of snapshots, cinder/db/models.py). The
cluster's UUID stands at a fixed place, so that SQL finds the volumes of a
cluster with ``LIKE 'lbf1:<uuid>:%'``. `name_id` says for which Cinder record
the text was written: Cinder copies provider fields onto temporary volumes,
and a location written for another record must be ignored. The same place can
be said in other words, see `Location.reworded`.
"""

from __future__ import annotations

import dataclasses
import re
import uuid as uuidlib

TAG = 'lbf1'
MAX_LENGTH = 255
NONE = '-'
# In an attempt, which is of hexadecimal digits: what follows tells the text
# from what it was before.
REWORDED = 'z'
_KEPT = 19

_ATTEMPT = re.compile(r'[a-z0-9]{1,32}')
_PROJECT = re.compile(r'[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?')


class InvalidLocation(ValueError):
    """The text is not a location this version can read."""


def _uuid(text: str, field: str) -> str:
    try:
        parsed = str(uuidlib.UUID(text))
    except ValueError:
        raise InvalidLocation(f'{field} is not a UUID: {text!r}') from None
    if parsed != text:
        raise InvalidLocation(f'{field} is not in canonical form: {text!r}')
    return text


@dataclasses.dataclass(frozen=True, slots=True)
class Location:
    """A place on a cluster, bound to one Cinder record.

    :param cluster_uuid: UUID of the cluster.
    :param name_id: id of the Cinder record it was written for (a volume's
        ``name_id`` or a snapshot's ``id``).
    :param project: Lightbits project of the object.
    :param object_uuid: UUID of the volume or snapshot on the cluster; None
        in a location written ahead of the creation.
    :param attempt: which create attempt made (or is making) the object; see
        also `maker`.
    :raises InvalidLocation: a part is malformed or the text gets too long.
    """

    cluster_uuid: str
    name_id: str
    project: str
    object_uuid: str | None = None
    attempt: str | None = None

    def __post_init__(self) -> None:
        _uuid(self.cluster_uuid, 'cluster UUID')
        _uuid(self.name_id, 'name_id')
        if self.object_uuid is not None:
            _uuid(self.object_uuid, 'object UUID')
        if (self.attempt is not None
                and not _ATTEMPT.fullmatch(self.attempt)):
            raise InvalidLocation(f'bad attempt: {self.attempt!r}')
        if not _PROJECT.fullmatch(self.project):
            raise InvalidLocation(f'bad project name: {self.project!r}')

    @property
    def written_ahead(self) -> bool:
        """Whether it was recorded before the object's UUID was known."""
        return self.object_uuid is None

    @property
    def maker(self) -> str | None:
        """The attempt that has made the object, None if it is not told."""
        return (self.attempt or '').partition(REWORDED)[0] or None

    def reworded(self, mark: str) -> Location:
        """Say the same in other words.

        Whoever is about to replace the text that there was, on condition that
        it is still there, does not find it any more.

        :param mark: at most 12 letters and digits, never used before.
        """
        return dataclasses.replace(self, attempt=(
            f'{(self.maker or "")[:_KEPT]}{REWORDED}{mark}'))

    def completed(self, object_uuid: str) -> Location:
        """:returns: the same place with the object's UUID."""
        return dataclasses.replace(self, object_uuid=object_uuid)

    def __str__(self) -> str:
        return ':'.join((TAG, self.cluster_uuid, self.name_id,
                         self.object_uuid or NONE, self.attempt or NONE,
                         self.project))

    @classmethod
    def parse(cls, text: str) -> Location:
        """Read the stored text.

        :raises InvalidLocation: it is not of this form or version.
        """
        parts = text.split(':')
        if len(parts) != 6 or parts[0] != TAG or len(text) > MAX_LENGTH:
            raise InvalidLocation(f'not a location: {text[:300]!r}')
        _tag, cluster, name_id, found, attempt, project = parts
        return cls(cluster_uuid=cluster, name_id=name_id, project=project,
                   object_uuid=None if found == NONE else found,
                   attempt=None if attempt == NONE else attempt)


def recorded_for(text: str | None, name_id: str) -> Location | None:
    """Read a record's location if it was written for that record.

    :param text: ``provider_location`` as stored, or None.
    :param name_id: the record that is being worked on.
    :returns: the location; None when there is none, when it is of another
        form, or when it was written for another record.
    """
    if not text:
        return None
    try:
        location = Location.parse(text)
    except InvalidLocation:
        return None
    return location if location.name_id == name_id else None
