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

"""The one place that takes secrets out of what is logged or raised."""

from __future__ import annotations

from collections.abc import Mapping
import json
import re
from typing import Any

MASK = '***'
LONGEST = 2000

_SECRET_KEYS = frozenset({
    'payload', 'token', 'idtoken', 'accesstoken', 'refreshtoken', 'password',
    'secret', 'secrets', 'key', 'privatekey', 'hostsecret', 'ctrlsecret',
    'authorization', 'clientsecret', 'dhchapkey', 'dhchapctrlkey'})

# A label is {"key": ..., "value": ...}; its key is no secret.
_LABEL_KEYS = frozenset({'key', 'value'})

_JWT = re.compile(r'eyJ[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]*){0,2}')
_BEARER = re.compile(r'(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+')
_PEM = re.compile(r'-----BEGIN [A-Z0-9 ]+-----.*?(-----END [A-Z0-9 ]+-----|$)',
                  re.DOTALL)
_SECRET_TEXT = re.compile(
    r'(?i)("(?:payload|token|idToken|password|secret|privateKey)"\s*:\s*)'
    r'("(?:[^"\\]|\\.)*"?)')


def text(value: str) -> str:
    """:returns: `value` without tokens and keys, cut to a sane length."""
    masked = _PEM.sub(MASK, value)
    masked = _SECRET_TEXT.sub(rf'\1"{MASK}"', masked)
    masked = _BEARER.sub(rf'\1 {MASK}', masked)
    masked = _JWT.sub(MASK, masked)
    if len(masked) > LONGEST:
        return f'{masked[:LONGEST]}... ({len(masked)} characters)'
    return masked


def body(raw: bytes | None) -> str:
    """:returns: an HTTP body for a DEBUG line, without secrets."""
    if not raw:
        return '-'
    try:
        value = json.loads(raw)
    except ValueError:
        return text(raw.decode('utf-8', 'replace'))
    return text(json.dumps(_masked(value), ensure_ascii=False))


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.keys() == _LABEL_KEYS:
            return dict(value)
        return {key: MASK if str(key).lower() in _SECRET_KEYS
                else _masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value
