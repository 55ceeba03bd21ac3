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

"""Who made an object on a cluster, and for which Cinder record.

Clusters are shared: other clouds, container platforms and copies of a
database use the same names. A volume carries its owner in labels, a snapshot
(which has none of its own, and inherits those of its volume) in its
description. Both read as the same mapping, so one rule judges both.

Label keys hold neither ``-`` nor ``.``: the array drops what stands before
such a character.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum
import re
import secrets
import uuid as uuidlib

LABEL_ID = 'cinder_id'
LABEL_OWNER = 'cinder_owner'
LABEL_ATTEMPT = 'cinder_attempt'
# From format 2 on: whose the record was when the object was made.
LABEL_FORMAT = 'cinder_format'
LABEL_PROJECT = 'cinder_project'
LABEL_USER = 'cinder_user'

# On what is ours and complete, and waits for a record that takes it over.
LABEL_OFFERED = 'cinder_offered'

COPY_PREFIX = 'for_copy_'

# Formats of labels and descriptions. Those without a tenant are of the first.
FORMATS = (1, 2)
DESCRIPTION_TAGS = {1: 'lbf1', 2: 'lbf2'}
MAX_DESCRIPTION = 256

_FIELDS = {'owner': LABEL_OWNER, 'id': LABEL_ID, 'attempt': LABEL_ATTEMPT,
           'project': LABEL_PROJECT, 'user': LABEL_USER}
_VALUE = re.compile(r'[A-Za-z0-9._-]{1,64}')


class InvalidOwnership(ValueError):
    """An owner, record id or attempt cannot be written on an object.

    :param field: which of them.
    :param value: what was given.
    """

    def __init__(self, field: str, value: str, why: str) -> None:
        self.field = field
        self.value = value
        super().__init__(f'{field}: {why}: {value!r}')


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """The cloud that owns objects; the same on all its hosts, for ever.

    :param federation_id: the option ``lightbits_federation_id``, a UUID in
        any case; kept in lower case.
    :raises InvalidOwnership: it is not a UUID.
    """

    federation_id: str

    def __post_init__(self) -> None:
        try:
            parsed = uuidlib.UUID(self.federation_id)
        except ValueError:
            raise InvalidOwnership('lightbits_federation_id',
                                   self.federation_id,
                                   'not a UUID') from None
        object.__setattr__(self, 'federation_id', str(parsed))


@dataclasses.dataclass(frozen=True, slots=True)
class Tenant:
    """Whose a record is, by ids of Keystone."""

    project_id: str
    user_id: str

    @property
    def labels(self) -> dict[str, str]:
        """What of it is fit for labels, and that it is there."""
        told = {LABEL_PROJECT: self.project_id, LABEL_USER: self.user_id}
        return {LABEL_FORMAT: '2', **{
            key: value for key, value in told.items()
            if _VALUE.fullmatch(value)}}


class Claim(enum.Enum):
    """What an object's labels say about it, seen from one record."""

    OURS = 'ours'
    """Made by this cloud for this record."""

    OTHER_RECORD = 'other record'
    """Made by this cloud for another record."""

    FOREIGN = 'foreign'
    """Made by somebody else, or for a record of an unnamed owner."""

    UNLABELLED = 'unlabelled'
    """Says nothing: older arrays, adopted and in-tree volumes."""


def new_attempt() -> str:
    """:returns: an id for one create attempt: 12 random hex digits."""
    return secrets.token_hex(6)


def labels_for(owner: Owner, name_id: str, attempt: str,
               tenant: Tenant | None = None) -> dict[str, str]:
    """Labels of an object that is made for a Cinder record.

    :param name_id: the volume's ``name_id`` or the snapshot's ``id``.
    :param attempt: see `new_attempt`.
    :param tenant: whose it is, in format 2; None writes format 1.
    :raises InvalidOwnership: a value is not fit for a label.
    """
    return {LABEL_OWNER: owner.federation_id,
            LABEL_ID: _value('name_id', name_id),
            LABEL_ATTEMPT: _value('attempt', attempt),
            **(tenant.labels if tenant else {})}


def offered(labels: Mapping[str, str]) -> dict[str, str]:
    """:returns: labels that let another record take the object over."""
    return {**labels, LABEL_OFFERED: 'yes'}


def _value(field: str, value: str) -> str:
    if not _VALUE.fullmatch(value):
        raise InvalidOwnership(field, value, 'not fit for a label')
    return value


def claim_of(labels: Mapping[str, str], owner: Owner,
             name_id: str) -> Claim:
    """Judge an object by its labels (or `read_description`).

    A record id without an owner is foreign: no create of this project ever
    leaves the owner out.
    """
    found_owner = labels.get(LABEL_OWNER)
    found_id = labels.get(LABEL_ID)
    if found_owner == owner.federation_id:
        return Claim.OURS if found_id == name_id else Claim.OTHER_RECORD
    if found_owner or found_id or labels.get(LABEL_ATTEMPT):
        return Claim.FOREIGN
    return Claim.UNLABELLED


def attempt_of(labels: Mapping[str, str]) -> str | None:
    """:returns: which attempt made the object, None if it does not say."""
    return labels.get(LABEL_ATTEMPT) or None


def describe(owner: Owner, name_id: str, attempt: str,
             tenant: Tenant | None = None) -> str:
    """The same facts as `labels_for`, for a snapshot's description.

    :returns: ``lbf1 owner=<UUID> id=<UUID> attempt=<hex>``, or ``lbf2`` and
        ``project=<id> user=<id>`` as well; below the array's 256 bytes.
    :raises InvalidOwnership: a value is not fit for a label.
    """
    labels = labels_for(owner, name_id, attempt, tenant)
    return ' '.join((DESCRIPTION_TAGS[2 if tenant else 1], *(
        f'{field}={labels[key]}' for field, key in _FIELDS.items()
        if key in labels)))


def read_description(text: str) -> dict[str, str]:
    """Read what `describe` wrote, as labels.

    Words this version does not know are skipped. A text of another form, or
    one that says a thing twice, says nothing.
    """
    tag, *words = text.split(' ')
    if tag not in DESCRIPTION_TAGS.values():
        return {}
    labels: dict[str, str] = {}
    for word in words:
        field, _equals, value = word.partition('=')
        key = _FIELDS.get(field)
        if key is None:
            continue
        if key in labels or not _VALUE.fullmatch(value):
            return {}
        labels[key] = value
    return labels


def clone_snapshot_name(name_id: str, attempt: str) -> str:
    """Name of the intermediate snapshot a clone is made of.

    The attempt is part of it: a snapshot whose name is still in use by one
    that is being deleted ends in state Failed.

    :param name_id: the new volume's ``name_id``.
    """
    return f'for_clone_{name_id}_{attempt}'


def copy_volume_name(record: str, attempt: str) -> str:
    """Name of a volume that a copy between clusters makes.

    The new volume bears it while it is not complete, and the ones that are
    read from do while they are there.

    :param record: what the copy is for, mostly a volume's ``name_id``.
    """
    return f'{COPY_PREFIX}{record}_{attempt}'
