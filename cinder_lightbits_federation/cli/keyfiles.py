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

"""The two files of a key pair, and what can be said of them."""

from __future__ import annotations

import dataclasses
import datetime
import grp
import os
import pwd
import re
import stat
from typing import Any

from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation import files
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import keys
from cinder_lightbits_federation.lightbits import tokens
from cinder_lightbits_federation.sections import ClusterSections
from cinder_lightbits_federation.settings import ClusterSettings

PUBLIC = 0o644
FOLDER = 0o750

_ID = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,62}')


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """A key pair in files.

    :param id: what clusters know the public half by.
    :param fingerprint: of the public half.
    """

    id: str
    private_file: str
    public_file: str
    fingerprint: str
    bits: int

    def fields(self) -> dict[str, Any]:
        """:returns: columns; nothing of the private key is in them."""
        return {'credential_id': self.id,
                'private_key_file': self.private_file,
                'mode': mode_of(self.private_file),
                'public_key_file': self.public_file,
                'fingerprint': self.fingerprint, 'bits': self.bits}


def create(folder: str, wanted: str | None, bits: int) -> Pair:
    """Make a key pair in a folder, which is made if need be.

    The superuser leaves the private key to the owner of the folder, and its
    group may read it (0640); anybody else keeps it to himself (0600).

    :param wanted: ID; by default made from the key.
    :raises FailedError: a file is there already, or cannot be written.
    """
    check_id(wanted)
    key = keys.generate(bits)
    name = wanted or keys.key_id(key)
    private, public = places(folder, name)
    mode = files.SHARED if os.geteuid() == 0 else files.PRIVATE
    try:
        if not os.path.isdir(os.path.dirname(private)):
            os.mkdir(os.path.dirname(private), FOLDER)
        files.write_atomically(private, keys.private_pem(key), mode)
        files.write_atomically(public, keys.public_pem(key), PUBLIC)
    except OSError as exc:
        raise FailedError(f'{exc.filename or folder} cannot be written: '
                          f'{exc.strerror}') from exc
    return Pair(name, private, public, keys.fingerprint(key), key.key_size)


def check_id(wanted: str | None) -> None:
    """See that a key may be called so; None for what is made from the key.

    :raises UsageError: it may not.
    """
    if wanted is not None and not _ID.fullmatch(wanted):
        raise UsageError(f'--id: {wanted!r} is not an ID: letters, digits, '
                         f'dots, dashes and underscores only')


def places(folder: str, name: str) -> tuple[str, str]:
    """:returns: where the two halves of a new key belong.

    :param name: ID of the key.
    :raises FailedError: a file is there already.
    """
    folder = os.path.abspath(folder)
    private, public = (os.path.join(folder, name + suffix) for suffix
                       in (keys.PRIVATE_SUFFIX, keys.PUBLIC_SUFFIX))
    for path in (private, public):
        if os.path.lexists(path):
            raise FailedError(f'{path} is there already; it was left alone')
    return private, public


def existing(path: str, wanted: str | None) -> Pair:
    """:returns: the pair of a private key file.

    :raises FailedError: it holds no key, or others can read it.
    """
    path = os.path.abspath(path)
    try:
        key = keys.load(path)
    except lb_errors.NoCredential as exc:
        raise FailedError(str(exc)) from exc
    base, _dot, _suffix = path.rpartition('.')
    return Pair(wanted or keys.key_id(key), path,
                f'{base or path}{keys.PUBLIC_SUFFIX}',
                keys.fingerprint(key), key.key_size)


def describe(settings: ClusterSettings, sections: ClusterSections
             ) -> dict[str, Any]:
    """:returns: columns about the file that tokens come from."""
    option = settings.token_option
    path = (sections.get(settings.name, option)
            if option in ('jwt_file', 'private_key_file') else None)
    fields: dict[str, Any] = {
        'file': path or '', 'mode': mode_of(path) if path else '',
        'owner': _owner_of(path) if path else ''}
    if option == 'private_key_file':
        fields |= _of_key(str(path))
        fields['credential_id'] = sections.get(settings.name,
                                               'credential_id')
        fields['token_scope'] = sections.get(settings.name, 'token_scope')
    else:
        expires = tokens.expiry_of(settings.tokens)
        fields['expires'] = _time(expires) if expires is not None else ''
    return fields


def mode_of(path: str) -> str:
    """:returns: such as ``0640``, or why it cannot be told."""
    try:
        return f'{stat.S_IMODE(os.stat(path).st_mode):04o}'
    except OSError as exc:
        return str(exc.strerror)


def _owner_of(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError as exc:
        return str(exc.strerror)
    try:
        user = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        user = str(status.st_uid)
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    return f'{user}:{group}'


def _of_key(path: str) -> dict[str, Any]:
    try:
        key = keys.load(path)
        made = os.stat(path).st_mtime
    except lb_errors.NoCredential as exc:
        return {'problem': str(exc)}
    except OSError as exc:
        return {'problem': str(exc.strerror)}
    return {'fingerprint': keys.fingerprint(key), 'bits': key.key_size,
            'made': _time(made)}


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(
        seconds, datetime.UTC).isoformat(timespec='seconds')
