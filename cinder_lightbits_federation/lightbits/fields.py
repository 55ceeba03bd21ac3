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

"""Fields of the management API v2, read leniently and written strictly.

The API is a JSON transcoding of gRPC: 64-bit numbers are strings, zero
values may be missing, and a flag is a string here and a boolean there.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]

ALLOW_ANY = 'ALLOW_ANY'
ALLOW_NONE = 'ALLOW_NONE'


class MalformedField(ValueError):
    """A field of a reply is not of the documented form."""


def integer(data: Json, key: str, default: int = 0) -> int:
    """Read a number that may be a string, or missing when it is zero."""
    value = data.get(key)
    if value is None or value == '':
        return default
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise MalformedField(f'{key} is not a number: {value!r}') from None


def decimal(data: Json, key: str, default: float = 0.0) -> float:
    """Read a floating-point number, missing when it is zero."""
    value = data.get(key)
    if value is None or value == '':
        return default
    try:
        return float(value)
    except (TypeError, ValueError):
        raise MalformedField(f'{key} is not a number: {value!r}') from None


def text(data: Json, key: str, default: str = '') -> str:
    """Read a string, missing when it is empty."""
    value = data.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise MalformedField(f'{key} is not a string: {value!r}')
    return value


def texts(data: Json, key: str) -> tuple[str, ...]:
    """Read a list of strings, missing when it is empty."""
    value = data.get(key) or ()
    if not isinstance(value, (list, tuple)):
        raise MalformedField(f'{key} is not a list: {value!r}')
    return tuple(str(item) for item in value)


def mapping(data: Json, key: str) -> Json:
    """Read an object, missing when it is empty."""
    value = data.get(key) or {}
    if not isinstance(value, Mapping):
        raise MalformedField(f'{key} is not an object: {value!r}')
    return value


def identity(data: Json, key: str = 'UUID') -> str:
    """Read an object's UUID, in lower case.

    :raises MalformedField: it is missing.
    """
    value = text(data, key).lower()
    if not value:
        raise MalformedField(f'{key} is missing')
    return value


def truth(data: Json, key: str) -> bool:
    """Read a boolean in either of the API's two forms."""
    value = data.get(key)
    if isinstance(value, str):
        return value.lower() in ('true', 'enable', 'enabled')
    return bool(value)


def binary(data: Json, key: str) -> bytes:
    """Read bytes, which the API writes as base64."""
    try:
        return base64.b64decode(text(data, key), validate=True)
    except ValueError:
        raise MalformedField(f'{key} is not base64') from None


def acl_values(data: Json, key: str) -> frozenset[str]:
    """Read an ACL; the keyword ALLOW_NONE is the empty set."""
    values = frozenset(texts(mapping(data, key), 'values'))
    return values - {ALLOW_NONE}


def acl_body(values: frozenset[str]) -> dict[str, list[str]]:
    """Write an ACL for a request; never an empty list."""
    return {'values': sorted(values) or [ALLOW_NONE]}


def labels(data: Json) -> dict[str, str]:
    """Read labels as a dictionary."""
    return {text(item, 'key'): text(item, 'value')
            for item in data.get('labels') or ()}


def labels_body(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Write labels for a request."""
    return [{'key': key, 'value': value}
            for key, value in sorted(values.items())]
