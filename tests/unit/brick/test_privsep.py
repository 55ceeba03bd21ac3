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


"""How calls of the privileged part fail, over privsep itself."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import errno
import os
import pathlib
import socket
import subprocess
import sys
import threading
from unittest import mock

from oslo_config import cfg
from oslo_config import fixture as config_fixture
from oslo_privsep import comm
from oslo_privsep import daemon

from os_brick_ext import privileged
from tests.unit.brick import base

# As the daemon does, which is given the service's files; by default, and as
# an operator chose.
SHOW_THREADS = """
import tempfile
from oslo_config import cfg
from os_brick_ext import privileged
for text in '', 'thread_pool_size = 7':
    with tempfile.NamedTemporaryFile('w', suffix='.conf') as file:
        print('[privsep_os_brick_ext]', text, sep='\\n', file=file, flush=True)
        cfg.CONF([], default_config_files=[file.name], default_config_dirs=[])
    print(cfg.CONF[privileged.SECTION].thread_pool_size)
"""

# With options of the service in its files that only the service declares.
AS_HELPER = """
import pathlib
import sys
from oslo_config import cfg
from os_brick_ext import privileged
cfg.CONF(['--config-file', sys.argv[1]], project='privsep')
privileged.default.set_client_mode(False)
privileged.DEVICES = pathlib.Path(sys.argv[2])
volume, nqn, host = sys.argv[3:]
def told(act, *args):
    try:
        print(act(*args))
    except (OSError, ValueError) as exc:
        print(exc)
told(privileged.write_drop_in, volume, nqn, host, [('192.0.2.1', 8009)])
told(privileged.remove_drop_in, volume)
told(privileged.connect_controller, '192.0.2.1', 4420, nqn, host, volume)
"""


class PrivsepTest(base.BrickTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(setattr, privileged.default, 'channel', None)

    @contextlib.contextmanager
    def silent_daemon(self) -> Iterator[None]:
        """Have a daemon that says it is there, and nothing more."""
        near, far = socket.socketpair()
        server = comm.ServerChannel(far)

        def serve() -> None:
            for number, _message in server:
                server.send((number, (comm.Message.PONG.value,)))
                return

        thread = threading.Thread(target=serve)
        thread.start()
        channel = daemon._ClientChannel(near, privileged.default)
        thread.join()
        privileged.default.channel = channel
        try:
            yield
        finally:
            far.shutdown(socket.SHUT_RDWR)
            channel.close()
            near.close()
            far.close()

    def test_no_answer_in_time(self) -> None:
        with self.silent_daemon(), mock.patch.object(
                privileged.default, 'timeout', 0.01):
            error = self.assertRaises(
                OSError, privileged.namespace_size, 'nvme0n1')
        self.assertEqual(errno.ETIMEDOUT, error.errno)

    def test_daemon_that_does_not_start(self) -> None:
        conf = self.useFixture(config_fixture.Config(cfg.CONF))
        conf.config(group=privileged.SECTION, helper_command='false')
        error = self.assertRaises(
            OSError, privileged.remove_drop_in, base.volume(1))
        self.assertEqual(errno.EPERM, error.errno)
        self.assertIn('cannot be started', str(error))

    def test_nodes_that_hang_leave_threads_for_others(self) -> None:
        """Whatever the number of processors; in a process of its own.

        Here, other tests reset the configuration, its defaults included.
        """
        said = subprocess.run(
            [sys.executable, '-c', SHOW_THREADS], capture_output=True,
            check=True, timeout=base.PATIENCE, text=True).stdout
        self.assertEqual(['64', '7'], said.split())

    def as_helper(self, text: str) -> list[str]:
        """Run the privileged part with a service's file, in a process.

        :returns: what has come of its functions that read options.
        """
        path = os.path.join(self.folder, 'service.conf')
        pathlib.Path(path).write_text(text)
        (self.kernel.dev / 'nvme-fabrics').write_bytes(b'')
        done = subprocess.run(
            [sys.executable, '-c', AS_HELPER, path, str(self.kernel.dev),
             base.volume(1), base.nqn(1), base.HOST_NQN],
            capture_output=True, timeout=base.PATIENCE, text=True,
            check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout.splitlines()

    def test_options_that_only_the_service_needs(self) -> None:
        """As packages have it; the privileged part wants no locks."""
        written, removed, connected = self.as_helper(
            '[DEFAULT]\nstate_path = /var/lib/nova\n'
            '[oslo_concurrency]\nlock_path = $state_path/tmp\n'
            '[os_brick_ext]\nctrl_loss_timeout = 7\n'
            '[os_brick]\nlightos_discovery_client_dir_path = '
            f'{self.kernel.drop_ins}\n')
        self.assertEqual(['created', 'True'], [written, removed])
        # The file is none that would answer.
        self.assertIn('unexpected reply', connected)
        self.assertIn(b',ctrl_loss_tmo=7',
                      (self.kernel.dev / 'nvme-fabrics').read_bytes())

    def test_options_that_only_the_service_knows(self) -> None:
        """They are an error that callers are prepared for."""
        told = self.as_helper(
            '[os_brick_ext]\nnr_io_queues = $workers\n[os_brick]\n'
            'lightos_discovery_client_dir_path = $state_path/x\n')
        folder = ('[os_brick] lightos_discovery_client_dir_path cannot be '
                  'read: no such option state_path in group [DEFAULT]')
        self.assertEqual(
            [folder, folder, '[os_brick_ext] nr_io_queues cannot be read: no '
             'such option workers in group [DEFAULT]'], told)
