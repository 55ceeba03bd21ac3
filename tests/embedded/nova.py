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
"""A stand-in for Nova: servers that use volumes, over HTTP.

Cinder asks it to move a server from one volume to another, and it does what
Nova's API and ``nova-compute`` do then, in that order, with Cinder's own API.
There is no authentication.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import dataclasses
import json
import threading
from typing import Any, Protocol

from openstack import exceptions

from tests.embedded import wsgi

Environ = dict[str, Any]
Answer = Callable[[str, list[tuple[str, str]]], Any]
Connection = Mapping[str, Any]


class Hypervisor(Protocol):
    """What a compute host does with volumes."""

    def plug(self, volume_id: str, connection: Connection) -> None:
        """Make a volume a disk of a server."""

    def swap(self, volume_id: str, connection: Connection) -> None:
        """Have the server go on with another volume with the same data.

        :param volume_id: of the disk.
        :param connection: of the other volume.
        :raises AssertionError: it goes on with what it had.
        """

    def unplug(self, volume_id: str) -> None:
        """Take the disk away."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mapped:
    """Which volume a server has, and by what attachment."""

    server: str
    attachment: str


class Nova:
    """Servers.

    :param sdk: makes a client of Cinder, as an administrator.
    :param connector: of the host that all servers are on.
    :ivar mapped: what is attached, by the id of the volume.
    :ivar failures: what went wrong with swaps.
    :ivar swapped: pairs of volumes that servers were moved between.
    """

    def __init__(self, sdk: Callable[[], Any], hypervisor: Hypervisor,
                 connector: Mapping[str, Any]) -> None:
        self.mapped: dict[str, Mapped] = {}
        self.failures: list[BaseException] = []
        self.swapped: list[tuple[str, str]] = []
        self._sdk = sdk
        self._hypervisor = hypervisor
        self._connector = dict(connector)
        self._server = wsgi.ApiServer(self._serve, '127.0.0.1')
        self._working: list[threading.Thread] = []

    @property
    def options(self) -> str:
        """What a ``cinder.conf`` needs so that Cinder finds it."""
        return (f'[nova]\nauth_type = none\n'
                f'endpoint = {self._server.url}/v2.1\n')

    def start(self) -> None:
        """Answer requests from now on."""
        self._server.start()

    def stop(self) -> None:
        """Answer no more, when all is done that was asked for."""
        self._server.stop()
        for thread in self._working:
            thread.join()

    def attach(self, server: str, volume_id: str) -> None:
        """Have a server use a volume."""
        sdk = self._sdk()
        made = sdk.create_attachment(volume_id, instance=server)
        made = sdk.update_attachment(made.id, connector=self._connector)
        self._hypervisor.plug(volume_id, made.connection_info)
        sdk.complete_attachment(made.id)
        self.mapped[volume_id] = Mapped(server, made.id)

    def detach(self, volume_id: str) -> None:
        """Have a server use a volume no more."""
        sdk = self._sdk()
        sdk.begin_volume_detaching(volume_id)
        self._hypervisor.unplug(volume_id)
        sdk.delete_attachment(self.mapped.pop(volume_id).attachment)

    def _serve(self, environ: Environ, answer: Answer) -> Iterable[bytes]:
        parts = environ['PATH_INFO'].strip('/').split('/')
        if (environ['REQUEST_METHOD'] != 'PUT' or parts[1:2] != ['servers']
                or parts[3:4] != ['os-volume_attachments']
                or parts[4] not in self.mapped):
            return _told(answer, '404 Not Found')
        body = json.loads(environ['wsgi.input'].read(
            int(environ['CONTENT_LENGTH'])))
        return self._asked(answer, parts[2], parts[4],
                           body['volumeAttachment']['volumeId'])

    def _asked(self, answer: Answer, server: str, old: str, new: str
               ) -> Iterable[bytes]:
        """Do what the API does: reserve, and leave the rest to the host."""
        sdk = self._sdk()
        try:
            sdk.begin_volume_detaching(old)
            made = sdk.create_attachment(new, instance=server)
        except exceptions.HttpException as exc:
            self.failures.append(exc)
            return _told(answer, '409 Conflict')
        thread = threading.Thread(
            target=self._swap, args=(server, old, new, made.id), daemon=True)
        self._working.append(thread)
        thread.start()
        return _told(answer, '202 Accepted')

    def _swap(self, server: str, old: str, new: str, attachment: str
              ) -> None:
        """Do what the host does, and tell Cinder how it ended."""
        sdk = self._sdk()
        failed = True
        try:
            made = sdk.update_attachment(attachment,
                                         connector=self._connector)
            self._hypervisor.swap(old, made.connection_info)
            sdk.complete_attachment(attachment)
            failed = False
        except (AssertionError, exceptions.HttpException) as exc:
            self.failures.append(exc)
        if failed:
            sdk.delete_attachment(attachment)
            sdk.abort_volume_detaching(old)
        else:
            sdk.delete_attachment(self.mapped[old].attachment)
        sdk.complete_volume_migration(old, new, error=failed)
        if not failed:
            self.swapped.append((old, new))
            # The volume keeps its id: Cinder gives it the new data.
            self.mapped[old] = Mapped(server, attachment)


def _told(answer: Answer, status: str) -> list[bytes]:
    answer(status, [('Content-Type', 'application/json'),
                    ('Content-Length', '0')])
    return []
