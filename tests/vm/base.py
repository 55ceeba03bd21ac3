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

"""What tests on the real kernel have in common."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import dataclasses
import itertools
import os
import pathlib
import subprocess
import sys
import time
from typing import Any
import unittest

from os_brick_ext import conn_props
from os_brick_ext import connector
from os_brick_ext import options
from os_brick_ext import probe
from os_brick_ext import settings
from os_brick_ext import sysfs
from tests.vm import discovery_client
from tests.vm import guest
from tests.vm import places
from tests.vm import target

MIB = target.MIB
# Seconds; everything is emulated.
PATIENCE = 120.0

# The discovery client, if one runs; starting it takes long.
_CLIENT: list[subprocess.Popen[bytes]] = []
_CLUSTERS = itertools.count(1)


class KernelTestCase(unittest.TestCase):
    """A host, and clusters that are gone after the test."""

    mode = options.NATIVE

    def setUp(self) -> None:
        self.kernel = sysfs.Sysfs()
        for path in places.DROP_INS.iterdir():
            path.unlink()
        self.addCleanup(self._leave_all)

    def _leave_all(self) -> None:
        """Have no connection left over, whatever a test did."""
        for controller in self.kernel.controllers():
            path = pathlib.Path('/sys/class/nvme', controller.name,
                                'delete_controller')
            # A discovery client may be at work, too: the connection may
            # be going, or no more than begun.
            with contextlib.suppress(OSError):
                path.write_text('1')

    def start_client(self) -> None:
        """Have a discovery client run; it does nothing without files."""
        if _CLIENT and _CLIENT[0].poll() is not None:
            self.stop_client()
        if not _CLIENT:
            _CLIENT.append(subprocess.Popen(
                [sys.executable, discovery_client.__file__,
                 str(places.DROP_INS)],
                env=os.environ | {'PYTHONPATH': os.getcwd()}))
        self.eventually(lambda: probe.http_ok(
            '127.0.0.1', discovery_client.METRICS_PORT, '/metrics', 5.0))

    @staticmethod
    def stop_client() -> None:
        """Have no discovery client run."""
        while _CLIENT:
            process = _CLIENT.pop()
            process.kill()
            process.wait()

    def connector(self, **changes: Any) -> connector.LightbitsConnector:
        """:returns: one as a service would have.

        :param changes: settings that differ from the configuration.
        """
        return connector.LightbitsConnector(
            'sudo', use_multipath=True, chosen=dataclasses.replace(
                settings.load(), **({'mode': self.mode} | changes)))

    def cluster(self, ipv6: bool = False, nodes: int = 3) -> target.Cluster:
        """Have a cluster; all that are IPv6 have the same addresses."""
        number = next(_CLUSTERS)
        addresses = (list(places.HOST_IPV6[:nodes]) if ipv6 else [
            f'127.0.{number}.{node}' for node in range(1, nodes + 1)])
        cluster = target.Cluster(addresses, guest.HOST_NQN)
        # First the connections have to go, so this runs last.
        self.addCleanup(cluster.remove)
        self.addCleanup(self._leave_all)
        return cluster

    def properties(self, cluster: target.Cluster,
                   volume: target.Volume) -> dict[str, Any]:
        """:returns: what Cinder tells about a volume."""
        return conn_props.ConnectionProperties(
            volume.uuid, cluster.nqn,
            tuple(conn_props.DiscoveryNode(address)
                  for address in cluster.addresses),
            nvme_endpoints=tuple(cluster.endpoints)).to_dict()

    def states(self, cluster: target.Cluster) -> list[str]:
        """:returns: states of the connections to a cluster."""
        return [one.state for one in self.kernel.controllers(cluster.nqn)]

    def eventually(self, probe: Callable[[], Any]) -> None:
        """Wait until something is true."""
        end = time.monotonic() + PATIENCE
        while not probe():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def check_io(self, path: str) -> None:
        """Write to a device past all caches, and read it again."""
        text = os.urandom(16) * 256
        block = bytearray(text)
        descriptor = os.open(path, os.O_RDWR | os.O_SYNC)
        try:
            os.pwrite(descriptor, block, 0)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            self.assertEqual(text, os.pread(descriptor, len(text), 0))
        finally:
            os.close(descriptor)
