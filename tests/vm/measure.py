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

"""Attachments measured, side by side with os-brick's own connector.

Run by ``tools/bench.sh attach``. Every measurement is taken with each kind of
connector in turn, on the same cluster. Nothing is asserted but that what was
measured has worked.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures
import contextlib
import os
import threading
import time
from typing import Any

from os_brick import exception
from os_brick.initiator.connectors import lightos

from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import options
from tests.vm import base
from tests.vm import discovery_client
from tests.vm import guest
from tests.vm import places
from tests.vm import report
from tests.vm import suite_failures
from tests.vm import target

STOCK = 'os-brick'
# Connections without any connector: what the kernel itself takes.
KERNEL = 'kernel alone'
KINDS = (STOCK, options.DISCOVERY_CLIENT, options.NATIVE)
# How many volumes at once, and how often.
SIZES = {1: 5, 10: 3, 50: 2}
EXTENSIONS = 5


def timed(act: Callable[[], object]) -> float:
    """:returns: seconds that something takes."""
    started = time.monotonic()
    act()
    return time.monotonic() - started


@contextlib.contextmanager
def threads(count: int) -> Iterator[futures.Executor]:
    """Have threads that run already.

    In an emulated machine to start one takes about as long as what is to be
    measured, whichever connector it is for.
    """
    with futures.ThreadPoolExecutor(count) as pool:
        running = threading.Barrier(count)
        list(pool.map(lambda _number: running.wait(), range(count)))
        yield pool


class Measurement(base.KernelTestCase):
    """Attaches with each kind of connector in turn."""

    def setUp(self) -> None:
        super().setUp()
        self.start_client()

    def kinds(self) -> Iterator[str]:
        """:returns: each kind, on a host that is connected to nothing."""
        for kind in KINDS:
            self.forget()
            yield kind
        self.forget()

    def forget(self) -> None:
        """Leave no file and no connection."""
        for path in places.DROP_INS.iterdir():
            path.unlink()
        # The client may be about to connect for a file that has gone.
        for _time in range(2):
            self.eventually(self._alone)
            time.sleep(0.5)
        self.eventually(self._alone)

    def _alone(self) -> bool:
        self._leave_all()
        return not self.kernel.controllers()

    def made(self, kind: str) -> Any:
        """:returns: a connector as a service would have it."""
        if kind == STOCK:
            return lightos.LightOSConnector('sudo')
        return self.connector(mode=kind)

    def data(self, kind: str, cluster: target.Cluster,
             volume: target.Volume) -> dict[str, Any]:
        """:returns: what the driver for that kind of host tells."""
        found = self.properties(cluster, volume)
        if kind == STOCK:
            del found[conn_props.EXTRA_KEY]
        return found

    def attach(self, kind: str, known: Sequence[dict[str, Any]]
               ) -> tuple[float, float]:
        """Attach volumes at the same time.

        :returns: seconds until all are there, and those of the slowest.
        """
        def connect(data: dict[str, Any]) -> None:
            data['device_path'] = self.made(kind).connect_volume(
                dict(data))['path']

        def one(data: dict[str, Any]) -> float:
            return timed(lambda: connect(data))

        with threads(len(known)) as pool:
            started = time.monotonic()
            slowest = max(pool.map(one, known))
            seconds = time.monotonic() - started
        for data in known:
            self.assertTrue(os.path.exists(data['device_path']))
        return seconds, slowest

    def detach(self, kind: str, known: Sequence[dict[str, Any]]) -> float:
        """Detach volumes at the same time.

        :returns: seconds until the last call has returned.
        """
        with threads(len(known)) as pool:
            return timed(lambda: list(pool.map(
                lambda data: self.made(kind).disconnect_volume(data, None),
                known)))


class ParallelMeasurement(Measurement):

    def test_attach_and_detach(self) -> None:
        cluster = self.cluster()
        volumes = [cluster.add(shown=False) for _each in range(max(SIZES))]
        anchor = cluster.add()
        for count, rounds in SIZES.items():
            chosen = volumes[:count]
            for _round in range(rounds):
                self.forget()
                report.sample(f'attach {count}, cold', KERNEL,
                              self._connected(cluster, chosen))
                for state in ('cold', 'warm'):
                    for kind in self.kinds():
                        self._once(kind, cluster, chosen,
                                   anchor if state == 'warm' else None)

    def _connected(self, cluster: target.Cluster,
                   chosen: Sequence[target.Volume]) -> float:
        """Connect to all nodes, and leave the rest to the kernel.

        :returns: seconds until the volumes have device nodes.
        """
        line = argparse.Namespace(
            subsysnqn=cluster.nqn, hostnqn=guest.HOST_NQN)
        cluster.show(chosen)
        shown = sum(volume.shown for volume in cluster.volumes)

        def connect() -> None:
            list(pool.map(
                lambda endpoint: discovery_client.connect(line, endpoint),
                cluster.endpoints))
            self.eventually(lambda: len(self.kernel.all_nodes()) >= shown)

        with threads(len(cluster.endpoints)) as pool:
            seconds = timed(connect)
        cluster.show(chosen, False)
        return seconds

    def _once(self, kind: str, cluster: target.Cluster,
              chosen: Sequence[target.Volume],
              anchor: target.Volume | None) -> None:
        state = 'cold'
        if anchor is not None:
            state = 'warm'
            self.attach(kind, [self.data(kind, cluster, anchor)])
            self.eventually(
                lambda: self.states(cluster) == ['live'] * 3)
        known = [self.data(kind, cluster, volume) for volume in chosen]
        cluster.show(chosen)
        seconds, slowest = self.attach(kind, known)
        report.sample(f'attach {len(chosen)}, {state}', kind, seconds)
        if len(chosen) > 1:
            report.sample(
                f'slowest of {len(chosen)}, {state}', kind, slowest)
        self.eventually(lambda: self.states(cluster) == ['live'] * 3)
        report.sample(f'detach {len(chosen)}, {state}', kind,
                      self.detach(kind, known))
        cluster.show(chosen, False)


class TroubleMeasurement(Measurement):

    def test_another_cluster_is_dead(self) -> None:
        cluster, dead = self.cluster(), self.cluster()
        volume, lost = cluster.add(), dead.add()
        with contextlib.ExitStack() as stack:
            for address in dead.addresses:
                stack.enter_context(suite_failures.silence(address))
            for kind in self.kinds():
                with futures.ThreadPoolExecutor(1) as pool:
                    waiting = pool.submit(
                        self.attach, kind, [self.data(kind, dead, lost)])
                    time.sleep(0.5)
                    report.sample(
                        'attach 1, cold, while one waits for a dead cluster',
                        kind, self.attach(
                            kind, [self.data(kind, cluster, volume)])[0])
                    self.assertIsInstance(
                        waiting.exception(),
                        (exception.BrickException, errors.HostError))

    def test_a_device_that_has_vanished(self) -> None:
        cluster = self.cluster()
        volume = cluster.add()
        # Something that keeps the cluster connected.
        cluster.add()
        for kind in self.kinds():
            volume.show()
            data = self.data(kind, cluster, volume)
            self.attach(kind, [data])
            self.eventually(
                lambda: self.states(cluster) == ['live'] * 3)
            volume.hide()
            self._await_departure(data['device_path'])
            report.sample('detach a device that has vanished', kind,
                          self.detach(kind, [data]))

    def _await_departure(self, path: str) -> None:
        self.eventually(lambda: not os.path.exists(path))

    def test_extend(self) -> None:
        cluster = self.cluster()
        size = 16
        for kind in self.kinds():
            volume = cluster.add()
            data = self.data(kind, cluster, volume)
            self.attach(kind, [data])
            right = 0
            for size in range(17, 17 + EXTENSIONS):
                volume.resize(size * base.MIB)
                started = time.monotonic()
                found = self.made(kind).extend_volume(data)
                report.sample('extend', kind, time.monotonic() - started)
                right += found == size * base.MIB
                self._await_size(data, size * base.MIB)
            report.sample(f'right sizes of {EXTENSIONS}', kind, right)
            self.detach(kind, [data])

    def _await_size(self, data: dict[str, Any], size: int) -> None:
        def arrived() -> bool:
            with open(data['device_path'], 'rb') as device:
                return device.seek(0, os.SEEK_END) == size

        self.eventually(arrived)
