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
"""Ports that stay free for the server they are meant for."""

from __future__ import annotations

import socket

HOST = '127.0.0.1'


class Port:
    """A TCP port of the loopback that nobody else is given meanwhile.

    The socket is bound but does not listen, and becomes shareable only after
    that: a server that asks for this very port gets it, again after each
    restart, while the kernel gives it to nobody who asks for any port.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind((HOST, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.number: int = self._socket.getsockname()[1]

    def __str__(self) -> str:
        return str(self.number)

    def answers(self) -> bool:
        """Whether a server accepts connections."""
        try:
            socket.create_connection((HOST, self.number), 1).close()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give the port up. Idempotent."""
        self._socket.close()
