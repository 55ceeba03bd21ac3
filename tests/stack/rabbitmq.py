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
"""A RabbitMQ of one's own."""

from __future__ import annotations

import pathlib
import socket

from tests.stack import daemons
from tests.stack import ports
from tests.stack import programs

# The broker answers this with the beginning of its first frame.
_HELLO = b'AMQP\x00\x00\x09\x01'

_CONFIG = """\
listeners.tcp.1 = {host}:{port}
log.file.level = warning
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
"""


class RabbitMq:
    """The broker and the name server of its language.

    :param folder: takes all files.
    """

    def __init__(self, folder: pathlib.Path, guard: daemons.Guard) -> None:
        self._folder = folder
        self._port = ports.Port()
        self._names_port = ports.Port()
        self._peer_port = ports.Port()
        self._names = daemons.Daemon(daemons.Program(
            'epmd', [programs.find('epmd'), '-address', ports.HOST,
                     '-port', str(self._names_port)],
            folder / 'epmd.log', self._names_port.answers), guard)
        self.daemon = daemons.Daemon(daemons.Program(
            'rabbitmq', [programs.find('rabbitmq-server')],
            folder / 'rabbitmq.log', self._answers, self._environment()),
            guard)

    @property
    def url(self) -> str:
        """What ``transport_url`` is set to."""
        return f'rabbit://guest:guest@{ports.HOST}:{self._port}/'

    def prepare(self) -> None:
        """Write the configuration and start the name server."""
        self._folder.mkdir(mode=0o700)
        (self._folder / 'rabbitmq.conf').write_text(_CONFIG.format(
            host=ports.HOST, port=self._port))
        (self._folder / 'enabled_plugins').write_text('[].\n')
        self._names.start()

    def close(self) -> None:
        """End the name server and give the ports up; the broker is ended."""
        self._names.kill()
        for port in (self._port, self._names_port, self._peer_port):
            port.close()

    def _environment(self) -> dict[str, str]:
        folder = self._folder
        return {
            'HOME': str(folder), 'ERL_EPMD_PORT': str(self._names_port),
            'ERL_EPMD_ADDRESS': ports.HOST,
            'RABBITMQ_CONF_ENV_FILE': '/dev/null',
            'RABBITMQ_NODENAME': f'stack{self._port}@localhost',
            'RABBITMQ_DIST_PORT': str(self._peer_port),
            'RABBITMQ_CONFIG_FILE': str(folder / 'rabbitmq.conf'),
            'RABBITMQ_ENABLED_PLUGINS_FILE': str(folder / 'enabled_plugins'),
            'RABBITMQ_MNESIA_BASE': str(folder / 'mnesia'),
            'RABBITMQ_LOG_BASE': str(folder / 'log'),
            'RABBITMQ_PID_FILE': str(folder / 'pid'),
            # It shares few processors with everything else.
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS':
                '+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none'}

    def _answers(self) -> bool:
        try:
            with socket.create_connection(
                    (ports.HOST, self._port.number), 2) as link:
                link.sendall(_HELLO)
                return link.recv(1) == b'\x01'
        except OSError:
            return False
