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

"""Simulated clusters and a Cinder in front of them, as processes."""

from __future__ import annotations

import json
import os

import subprocess
import sys
import threading
from typing import Any

from tests.simulator import control
from tests.vm import places

CLUSTERS = ('east', 'west', 'north')
# One whose nodes have IPv6 addresses for data, of this guest.
IPV6 = 'six'


class CallFailed(Exception):
    """Cinder's side refused a call."""


class Cloud:
    """Three clusters and a driver; both start with the first call.

    The processes start with this object, so that they are ready when they
    are needed.
    """

    def __init__(self) -> None:
        with open(places.CINDER_LOG, 'wb') as log:
            self._cinder = subprocess.Popen(
                [sys.executable, '-m', 'tests.vm.cinder'],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True, env=os.environ | {
                    'OS_CINDER_DISABLE_EVENTLET_PATCHING': '1'})
        self._simulator: control.Simulator | None = None
        self._lock = threading.RLock()

    @property
    def clusters(self) -> dict[str, control.SimCluster]:
        """The clusters by name."""
        with self._lock:
            if self._simulator is None:
                self._simulator = self._start()
            return self._simulator.clusters

    def _start(self) -> control.Simulator:
        simulator = control.Simulator.start(
            str(places.SIMULATOR), clusters=','.join(CLUSTERS), nodes=3,
            data_plane='nvmet')
        try:
            simulator.add_cluster(
                IPV6, data_plane='nvmet', data_addresses=places.CLOUD_IPV6)
            self._call('start', {
                'control': simulator.control_address,
                'ca_file': simulator.ca_file,
                'clusters': simulator.infos})
        except CallFailed:
            simulator.stop()
            raise
        return simulator

    def _call(self, name: str, arguments: dict[str, Any]) -> Any:
        assert self._cinder.stdin and self._cinder.stdout
        with self._lock:
            self._cinder.stdin.write(json.dumps([name, arguments]) + '\n')
            self._cinder.stdin.flush()
            line = self._cinder.stdout.readline()
        answer = json.loads(line) if line else {'error': 'it has ended'}
        if 'error' in answer:
            raise CallFailed(f'{name} {arguments}: {answer["error"]}')
        return answer['result']

    def call(self, name: str, **arguments: Any) -> Any:
        """Have the driver do something; see :class:`tests.vm.cinder.Calls`.

        :raises CallFailed: it was refused.
        """
        assert self.clusters
        return self._call(name, arguments)

    def stop(self) -> None:
        """End both processes."""
        self._cinder.kill()
        self._cinder.wait()
        if self._simulator is not None:
            self._simulator.stop()


_SHARED: list[Cloud] = []


def shared() -> Cloud:
    """:returns: the one of this guest, started when first asked for."""
    if not _SHARED:
        _SHARED.append(Cloud())
    return _SHARED[0]


def stop() -> None:
    """End the one of this guest, if there is one."""
    while _SHARED:
        _SHARED.pop().stop()
