#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""A threaded WSGI server from the standard library.

Cinder's own server needs eventlet; this one serves the same application
under eventlet and under native threads.
"""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
from typing import Any
from wsgiref import simple_server

LOG = logging.getLogger(__name__)


class _Handler(simple_server.WSGIRequestHandler):

    def log_message(self, format: str, *args: Any) -> None:
        LOG.debug('%s %s', self.address_string(), format % args)

    def address_string(self) -> str:
        """Return the client's address without asking a name server."""
        return str(self.client_address[0])


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):

    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        """Bind without the base class's look-up of the own host name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name = str(self.server_address[0])
        self.server_port = int(self.server_address[1])
        self.setup_environ()


class ApiServer:
    """Serves one WSGI application on a free port, see :attr:`url`."""

    def __init__(self, app: Any, host: str) -> None:
        self._server = _Server((host, 0), _Handler)
        self._server.set_app(app)
        self._stopped = False
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        """Address of the service's root, without a path."""
        return f'http://{self._server.server_name}:{self._server.server_port}'

    def start(self) -> None:
        """Answer requests in threads of its own; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests; returns when the port is closed."""
        self._stopped = True
        # Wakes who waits for a connection.
        self._server.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.server_close()

    def _accept(self) -> None:
        """Hand out connections, one thread for each.

        Not with `serve_forever`: where the module was loaded before eventlet
        replaced the selectors, that never lets anybody else run.
        """
        while not self._stopped:
            try:
                request, address = self._server.get_request()
            except OSError:
                continue
            self._server.process_request(request, address)
