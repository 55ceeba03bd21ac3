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

"""The grammar of request fields. Every refusal is a 400."""

from __future__ import annotations

import base64
import binascii
import collections.abc
import ipaddress
import re
import typing
import uuid as uuidlib

from tests.simulator import errors
from tests.simulator import model
from tests.simulator import switches

LBA = 4096
MAX_IP_ADDRESSES = 16
MAX_LABELS = 16
MAX_DESCRIPTION = 256

_NAME = re.compile(r'[a-zA-Z0-9_.-]{1,253}')
_PROJECT = re.compile(r'[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?')
_SIZE = re.compile(r'(\d+)(\.\d+)?\s*([a-z]*)')
_DURATION = re.compile(r'(\d+(?:\.\d{1,9})?)s')
_SECTORS: dict[object, int] = {
    'sectorSize_Default': 4096,
    'sectorSize_512B': 512,
    'sectorSize_4K': 4096,
    0: 4096,
    1: 512,
    2: 4096,
}
_COMPRESSION = {
    'true': True,
    'enable': True,
    'enabled': True,
    'false': False,
    'disable': False,
    'disabled': False,
}
_UNITS = {'': 1, 'b': 1}
_UNITS.update(
    (f'{letter}b', 1000**power) for power, letter in enumerate('kmgt', 1)
)
_UNITS.update(
    (f'{letter}ib', 1024**power) for power, letter in enumerate('kmgt', 1)
)


class Fields:
    """The fields of a JSON request; null ones count as absent.

    Each reader returns None for an absent field and raises ApiError (400)
    naming a field of the wrong type.
    """

    def __init__(self, values: collections.abc.Mapping[str, typing.Any]):
        self._values = values

    def raw(self, name: str) -> typing.Any:
        """Return the value as it is."""
        return self._values.get(name)

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._values.get(name) is not None

    def text(self, name: str) -> str | None:
        """Return a string; an empty one is absent, as in proto3."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise errors.invalid(f'field {name}: a string is expected')
        return value or None

    def number(self, name: str) -> int | None:
        """Return a whole number of 0 or more, quoted or not."""
        value = self._values.get(name)
        if value is None:
            return None
        text = str(value)
        if isinstance(value, bool) or not text.isdecimal():
            raise errors.invalid(f'field {name}: a number is expected')
        return int(text)

    def flag(self, name: str) -> bool:
        """Return a boolean; an absent one is false."""
        value = self._values.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise errors.invalid(f'field {name}: a boolean is expected')
        return value

    def message(self, name: str) -> Fields | None:
        """Return the fields of a nested object."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise errors.invalid(f'field {name}: an object is expected')
        return Fields(value)

    def items(self, name: str) -> list[typing.Any] | None:
        """Return a list."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise errors.invalid(f'field {name}: a list is expected')
        return value


def uuid(text: str) -> str:
    """Return a UUID in its canonical form."""
    try:
        return str(uuidlib.UUID(text))
    except ValueError as err:
        raise errors.invalid(f'{text!r} is not a UUID') from err


def name(fields: Fields, field: str = 'name') -> str:
    """Return a name, which is required."""
    value = fields.text(field)
    if value is None:
        raise errors.invalid(f'field {field} must be provided')
    if not _NAME.fullmatch(value):
        raise errors.invalid(f'field {field}: {value!r} is no legal name')
    return value


def project_name(fields: Fields) -> str:
    """Return the name of a new project."""
    value = fields.text('name')
    if value is None or not _PROJECT.fullmatch(value):
        raise errors.invalid(f'field name: {value!r} is no project name')
    return value


def description(fields: Fields) -> str:
    """Return a description of at most 256 bytes of UTF-8."""
    value = fields.text('description') or ''
    if len(value.encode()) > MAX_DESCRIPTION:
        raise errors.invalid('field description is longer than 256 bytes')
    return value


def size(fields: Fields, rules: switches.Switches) -> int | None:
    """Return a size in bytes, rounded up to 4 KiB."""
    value = fields.text('size')
    if value is None:
        return None
    number = _parse_size(value, rules)
    if not number:
        raise errors.invalid('field size: zero is not allowed')
    if number > rules.max_volume_size:
        raise errors.invalid(
            f'field size: {number} exceeds {rules.max_volume_size} bytes'
        )
    return -(-number // LBA) * LBA if rules.round_size else number


def _parse_size(value: str, rules: switches.Switches) -> int:
    match = _SIZE.fullmatch(value.strip().lower())
    if not match or match[3] not in _UNITS:
        raise errors.invalid(f'field size: {value!r} is no size')
    if match[2] and not rules.size_fractions:
        raise errors.invalid(f'field size: {value!r} has a fraction')
    scale = _UNITS[match[3]]
    if not match[2]:
        return int(match[1]) * scale
    return int(float(match[1] + match[2]) * scale)


def acl(fields: Fields, rules: switches.Switches) -> tuple[str, ...] | None:
    """Return the host NQNs, or the one keyword."""
    values = _acl_values(fields, 'acl')
    if values is None:
        return None
    if rules.max_acl_hosts and len(values) > rules.max_acl_hosts:
        raise errors.invalid(
            f'field acl: more than {rules.max_acl_hosts} hosts'
        )
    return _ordered(values, rules)


def ip_acl(fields: Fields, rules: switches.Switches) -> tuple[str, ...] | None:
    """Return the IP addresses (at most 16), or the one keyword."""
    values = _acl_values(fields, 'IPAcl')
    if values is None:
        return None
    for value in values:
        if value not in (model.ALLOW_ANY, model.ALLOW_NONE):
            _check_address(value)
    if len(values) > MAX_IP_ADDRESSES:
        raise errors.invalid(
            f'field IPAcl: more than {MAX_IP_ADDRESSES} addresses'
        )
    return _ordered(values, rules)


def _check_address(value: str) -> None:
    try:
        ipaddress.ip_address(value)
    except ValueError as err:
        raise errors.invalid(
            f'field IPAcl: {value!r} is no IP address'
        ) from err


def _acl_values(fields: Fields, field: str) -> list[str] | None:
    message = fields.message(field)
    if message is None:
        return None
    values = message.items('values') or []
    if not values:
        raise errors.invalid(
            f'field {field}: no values; ALLOW_NONE revokes everybody'
        )
    for value in values:
        if not isinstance(value, str) or not value.strip():
            raise errors.invalid(f'field {field}: {value!r} is no value')
    unique = list(dict.fromkeys(values))
    keywords = {model.ALLOW_ANY, model.ALLOW_NONE} & set(unique)
    if keywords and len(unique) > 1:
        raise errors.invalid(f'field {field}: a keyword must stand alone')
    return unique


def _ordered(values: list[str], rules: switches.Switches) -> tuple[str, ...]:
    return tuple(sorted(values) if rules.acl_order == 'sorted' else values)


def labels(
    fields: Fields, rules: switches.Switches
) -> tuple[tuple[str, str], ...] | None:
    """Return the labels as (key, value) pairs.

    Releases without labels ignore the field. A key keeps only what
    follows its last `-` or `.`.
    """
    items = fields.items('labels')
    if items is None or not rules.has(3, 11):
        return None
    if not items and not rules.clear_labels_with_empty:
        return None
    if len(items) > MAX_LABELS:
        raise errors.invalid(f'field labels: more than {MAX_LABELS}')
    pairs = tuple(_label(item, rules) for item in items)
    if len({key for key, _ in pairs}) != len(pairs):
        raise errors.invalid('field labels: a key appears twice')
    return pairs


def _label(item: object, rules: switches.Switches) -> tuple[str, str]:
    fields = Fields(item if isinstance(item, dict) else {})
    key = fields.text('key') or ''
    value = fields.text('value') or ''
    for part in (key, value):
        if not _NAME.fullmatch(part):
            raise errors.invalid(f'field labels: {part!r} is not legal')
    if rules.label_key_prefix == 'stripped':
        key = re.split(r'[-.]', key)[-1]
    if not key:
        raise errors.invalid('field labels: nothing is left of a key')
    return key, value


def compression(fields: Fields) -> bool | None:
    """Return whether to compress; the field is a string."""
    value = fields.text('compression')
    if value is None:
        return None
    if value.lower() not in _COMPRESSION:
        raise errors.invalid(f'field compression: {value!r} is unknown')
    return _COMPRESSION[value.lower()]


def sector_size(fields: Fields) -> int | None:
    """Return the sector size in bytes; the default is LBA."""
    value = fields.raw('sectorSize')
    if value is None:
        return None
    if isinstance(value, bool | list | dict) or value not in _SECTORS:
        raise errors.invalid(f'field sectorSize: {value!r} is unknown')
    return _SECTORS[value]


def duration(fields: Fields, field: str) -> float:
    """Return seconds of a duration such as ``7200s``; 0 if absent."""
    value = fields.text(field)
    if value is None:
        return 0.0
    match = _DURATION.fullmatch(value)
    if not match:
        raise errors.invalid(f'field {field}: {value!r} is no duration')
    return float(match[1])


def restrictions(
    fields: Fields, replicas: int
) -> tuple[dict[str, typing.Any], ...]:
    """Return placement restrictions; only for one replica."""
    items = fields.items('placementRestrictions') or []
    if items and replicas != 1:
        raise errors.invalid(
            'field placementRestrictions: only with one replica'
        )
    return tuple(_restriction(item) for item in items)


def _restriction(item: object) -> dict[str, typing.Any]:
    fields = Fields(item if isinstance(item, dict) else {})
    pairs = fields.items('labelValueKeyPairs') or []
    known = fields.raw('operator') in ('In', None) and bool(pairs)
    for pair in pairs:
        legal = isinstance(pair, dict) and isinstance(pair.get('value'), str)
        known = known and legal and pair.get('key') in ('FD', 'PrimaryFD')
    if not known:
        raise errors.invalid('field placementRestrictions is not understood')
    return {
        'operator': 'In',
        'labelValueKeyPairs': [
            {'key': pair['key'], 'value': pair['value']} for pair in pairs
        ],
    }


def payload(fields: Fields, field: str) -> bytes:
    """Return bytes, which JSON carries as base64."""
    value = fields.text(field)
    if value is None:
        raise errors.invalid(f'field {field} must be provided')
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as err:
        raise errors.invalid(f'field {field} is not base64') from err
