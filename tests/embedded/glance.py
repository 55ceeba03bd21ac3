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

"""A stand-in for Glance: what Cinder's own client asks of it, over HTTP.

Serves files as images and counts how often each was downloaded. There is no
authentication: the tests decide what Cinder sees.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator
import hashlib
import json
import pathlib
from typing import Any
import uuid

from tests.embedded import wsgi

Environ = dict[str, Any]
Answer = Callable[[str, list[tuple[str, str]]], Any]

VERSION = 'v2.17'

_CHUNK = 1 << 16

# Properties that every image has; all others are its own.
_BASE = {
    'id': 'string', 'name': 'string', 'status': 'string',
    'visibility': 'string', 'owner': 'string', 'size': 'integer',
    'virtual_size': 'integer', 'disk_format': 'string',
    'container_format': 'string', 'checksum': 'string',
    'os_hash_algo': 'string', 'os_hash_value': 'string',
    'min_disk': 'integer', 'min_ram': 'integer', 'protected': 'boolean',
    'created_at': 'string', 'updated_at': 'string', 'tags': 'array'}
_SCHEMA = {
    'name': 'image', 'additionalProperties': {'type': 'string'},
    'properties': {name: {'type': [kind, 'null']}
                   for name, kind in _BASE.items()}}


class Glance:
    """Images over HTTP.

    :ivar downloads: how often the data of each image was asked for, by id.
    """

    def __init__(self) -> None:
        self.downloads: collections.Counter[str] = collections.Counter()
        self._images: dict[str, dict[str, Any]] = {}
        self._files: dict[str, pathlib.Path] = {}
        self._server = wsgi.ApiServer(self._serve, '127.0.0.1')

    @property
    def url(self) -> str:
        """What Cinder's option ``glance_api_servers`` is to be."""
        return self._server.url

    def start(self) -> None:
        """Answer requests from now on."""
        self._server.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.stop()

    def add(self, file: pathlib.Path, **properties: Any) -> str:
        """Have an image.

        :param properties: those that differ from a public, active one.
        :returns: its id.
        """
        data = file.read_bytes()
        made = {
            'id': str(uuid.uuid4()), 'name': file.name, 'status': 'active',
            'visibility': 'public', 'owner': 'demo', 'size': len(data),
            'disk_format': 'qcow2', 'container_format': 'bare',
            'checksum': hashlib.md5(data).hexdigest(),  # noqa: S324
            'os_hash_algo': 'sha512',
            'os_hash_value': hashlib.sha512(data).hexdigest(),
            'min_disk': 0, 'min_ram': 0, 'protected': False, 'tags': [],
            'created_at': '2026-01-01T00:00:00Z',
            'updated_at': '2026-01-01T00:00:00Z', **properties}
        self._images[made['id']] = made
        self._files[made['id']] = file
        return str(made['id'])

    def _serve(self, environ: Environ, answer: Answer) -> Iterable[bytes]:
        parts = environ['PATH_INFO'].strip('/').split('/')
        if parts == ['versions']:
            return _json(answer, {'versions': [
                {'id': VERSION, 'status': 'CURRENT', 'links': []}]})
        if parts == ['v2', 'schemas', 'image']:
            return _json(answer, _SCHEMA)
        if parts[:2] == ['v2', 'images'] and parts[2] in self._images:
            if parts[3:] == ['file']:
                return self._data(parts[2], answer)
            if parts[3:] == ['locations']:
                return _json(answer, [])
            if not parts[3:]:
                return _json(answer, self._images[parts[2]])
        answer('404 Not Found', [('Content-Type', 'text/plain')])
        return [b'not found']

    def _data(self, image_id: str, answer: Answer) -> Iterator[bytes]:
        self.downloads[image_id] += 1
        path = self._files[image_id]
        answer('200 OK', [('Content-Type', 'application/octet-stream'),
                          ('Content-Length', str(path.stat().st_size))])
        with path.open('rb') as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk


def _json(answer: Answer, value: object) -> list[bytes]:
    body = json.dumps(value).encode()
    answer('200 OK', [('Content-Type', 'application/json'),
                      ('Content-Length', str(len(body)))])
    return [body]
