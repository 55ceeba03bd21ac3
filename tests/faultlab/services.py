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
"""Cinder's services, and what they depend on, die or stand still."""

from __future__ import annotations

from collections.abc import Iterable
import contextlib
import os
import time
from typing import Any

import psutil
import requests

from tests.embedded import waiting
from tests.faultlab import history
from tests.faultlab import marks
from tests.faultlab import plan
from tests.simulator import control
from tests.stack import bed
from tests.stack import daemons

# One at a time: they hold the same requests.
_POINT = 'crash points'
# Seconds to wait for somebody to come to a crash point.
_POINT_PATIENCE = 12.0
# Seconds a request is held there. One that is done late is done before the
# service that asked for it is back.
_HELD = 8.0
_LATE = 4.0
_LAUNCHES = 5
_START_SECONDS = 120.0


class ServiceTroubles:
    """Each returns when what it did is mended."""

    def __init__(self, lab: bed.Bed, past: history.History,
                 broken: marks.Marks) -> None:
        self._clusters = list(lab.clusters.values())
        self._stack = lab.stack
        self._past = past
        self._broken = broken

    def kill(self, item: plan.Break) -> None:
        """Kill services, whatever they are doing."""
        with self._broken.those_left(item.hosts) as hosts:
            self._shoot(hosts, item.seconds)

    def kill_at(self, item: plan.Break) -> None:
        """Kill the service that comes to a crash point first."""
        moment, route = item.detail.split()
        with contextlib.ExitStack() as struck:
            with self._broken.alone(_POINT):
                try:
                    host = self._holder(moment, route)
                    if host is None:
                        self._past.trouble('crash points nobody came to')
                        return
                    struck.enter_context(self._broken.alone(host))
                    self._past.trouble(f'kill -9 {moment} {route}')
                    self._stack.volumes[host].kill()
                finally:
                    self._release(route)
            self._shoot([host], item.seconds)

    def pause(self, item: plan.Break) -> None:
        """Let services stand still."""
        with self._broken.those_left(item.hosts) as hosts:
            for host in hosts:
                self._stack.volumes[host].pause()
            time.sleep(item.seconds)
            for host in hosts:
                self._stack.volumes[host].resume()

    def clean_workers(self, item: plan.Break) -> None:
        """Have services that are up clean up after those that are not."""
        with contextlib.suppress(requests.RequestException):
            requests.post(
                f'{self._stack.api}/v3/workers/cleanup', json={}, timeout=60,
                headers={
                    'X-Auth-Token': self._stack.environment()['OS_TOKEN'],
                    'OpenStack-API-Version': 'volume 3.24'})

    def restart_locks(self, item: plan.Break) -> None:
        """Let the lock service be away for a while."""
        self._restart(item, self._stack.locks.daemon)

    def restart_database(self, item: plan.Break) -> None:
        """Let the database be away for a while."""
        self._restart(item, self._stack.database.daemon)

    def restart_broker(self, item: plan.Break) -> None:
        """Let the broker be away for a while."""
        self._restart(item, self._stack.broker.daemon)

    def _restart(self, item: plan.Break, daemon: daemons.Daemon) -> None:
        with self._broken.alone('infrastructure'):
            daemon.stop()
            time.sleep(item.seconds / 2)
            daemon.start()

    def _holder(self, moment: str, route: str) -> str | None:
        """Let the next request of a route hang, on each cluster.

        :returns: the service that waits for it; None when there is none in
            time.
        """
        for cluster in self._clusters:
            cluster.fault(
                'slow', route=route, count=1, after_apply=moment == 'after',
                seconds=_LATE if moment == 'late' else _HELD,
                abandoned='apply' if moment == 'late' else 'discard')
        try:
            client = waiting.wait_for(
                lambda: next((fault['client'] for cluster in self._clusters
                              for fault in _holds(cluster, route)
                              if fault['hits']), None),
                f'a request {route}', _POINT_PATIENCE)
        except waiting.WaitedTooLong:
            return None
        return self._service_of(client)

    def _service_of(self, client: str) -> str | None:
        """Find the service a connection is of, by the client's end of it."""
        group = _process_group(client)
        return next((host for host, service in self._stack.volumes.items()
                     if service.running and service.pid == group), None)

    def _release(self, route: str) -> None:
        for cluster in self._clusters:
            for fault in _holds(cluster, route):
                cluster.clear_fault(fault['id'])

    def _shoot(self, hosts: Iterable[str], seconds: float) -> None:
        services = [self._stack.volumes[host] for host in hosts]
        for service in services:
            service.kill()
            self._past.trouble(history.KILLS)
        time.sleep(seconds)
        for service in services:
            service.launch()
        for service in services:
            self._keep_alive(service)

    def _keep_alive(self, service: daemons.Daemon) -> None:
        """Start a service again when it gives up, as an init system does.

        It does that when it starts while what it needs is away.
        """
        for _attempt in range(_LAUNCHES):
            try:
                service.wait(_START_SECONDS)
                return
            except daemons.DaemonFailed:
                self._past.trouble('services that had to start again')
                service.kill()
                time.sleep(1)
                service.launch()
        raise daemons.DaemonFailed(f'{service.program.name} does not start')


def _holds(cluster: control.SimCluster, route: str
           ) -> list[dict[str, Any]]:
    """The faults that hold requests of a route in a cluster."""
    return [fault for fault in cluster.faults()
            if fault['kind'] == 'slow' and fault['route'] == route]


def _process_group(client: str) -> int | None:
    """Return the process group that an ``address:port`` belongs to."""
    for link in psutil.net_connections('tcp'):
        if link.pid and link.laddr and client == (
                f'{link.laddr.ip}:{link.laddr.port}'):
            with contextlib.suppress(ProcessLookupError):
                return os.getpgid(link.pid)
    return None
