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

"""The listening socket of one node's API."""

from __future__ import annotations

import asyncio
import socket
import ssl

from tests.simulator import cluster as clusters
from tests.simulator import errors
from tests.simulator import http

_BACKLOG = 1024


class Endpoint:
    """A port that listens or refuses, and stays reserved all the time.

    :param port: 0 takes a free one.
    :raises ControlError: the address cannot be bound.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: str,
        port: int,
        application: http.Application,
        context: ssl.SSLContext | None,
    ) -> None:
        self._loop = loop
        self._address = address
        self._application = application
        self._context = context
        self._server: asyncio.AbstractServer | None = None
        self._listening: socket.socket | None = None
        # Bound and never listening: it keeps the port for this process
        # while connections are refused.
        self._reservation = self._bind(port)
        self.port: int = self._reservation.getsockname()[1]

    def _bind(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ':' in self._address else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((self._address, port))
        except OSError as err:
            bound.close()
            raise errors.ControlError(
                f'cannot bind {clusters.endpoint(self._address, port)}: {err}'
            ) from err
        return bound

    @property
    def text(self) -> str:
        """The endpoint as `ip:port`."""
        return clusters.endpoint(self._address, self.port)

    async def start(self) -> None:
        """Listen; idempotent."""
        if self._server is not None:
            return
        self._listening = self._bind(self.port)
        self._server = await self._loop.create_server(
            lambda: http.Connection(self._application, self._context),
            sock=self._listening,
            backlog=_BACKLOG,
        )

    async def stop(self) -> None:
        """Refuse connections from now on; idempotent."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        # The loop closes the socket in its next round.
        while self._listening is not None and self._listening.fileno() >= 0:
            await asyncio.sleep(0)
        self._listening = None

    async def close(self) -> None:
        """Refuse connections and give the port back."""
        await self.stop()
        self.release()

    def release(self) -> None:
        """Give the port of an endpoint that does not listen back."""
        self._reservation.close()
