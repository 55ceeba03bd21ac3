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

"""What tests against simulated clusters share."""

from __future__ import annotations

import itertools
import time
from typing import Any
import uuid

from oslotest import base

from cinder_lightbits_federation.lightbits import client as lb_client
from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.lightbits import tls
from cinder_lightbits_federation.lightbits import tokens
from cinder_lightbits_federation import timing
from tests.simulator import client as sim_client
from tests.simulator import control

PROJECT = 'default'
GIB = 1 << 30

_numbers = itertools.count()


class SimTestCase(base.BaseTestCase):
    """Makes clusters, and clients of them."""

    def cluster(self, nodes: int = 3,
                **options: Any) -> sim_client.SimCluster:
        """Make a cluster that goes again."""
        made = control.Simulator.shared().add_cluster(
            f'client{next(_numbers)}', nodes, **options)
        self.addCleanup(made.remove)
        return made

    def client(self, cluster: sim_client.SimCluster, *,
               source: tokens.TokenSource | None = None,
               seeds: tuple[str, ...] | None = None,
               trust: tls.TlsTrust | None = None,
               connect_timeout: float = 2.0, api_timeout: float = 5.0,
               **options: Any) -> lb_client.LightbitsClient:
        """Make a client that closes again, by default an admin's."""
        made = lb_client.LightbitsClient(
            lb_client.ClientConfig(
                name=cluster.name,
                seeds=tuple(endpoints.Endpoint.parse(text) for text
                            in seeds or cluster.api_endpoints),
                tls=trust or tls.TlsTrust(ca_file=cluster.ca_file),
                connect_timeout=connect_timeout, api_timeout=api_timeout,
                **options),
            source or tokens.StaticToken(cluster.token()))
        self.addCleanup(made.close)
        return made

    def volume(self, made: lb_client.LightbitsClient,
               **fields: Any) -> model.Volume:
        """Make a volume and wait for it."""
        values = {'name': f'v-{uuid.uuid4()}', 'size': GIB, 'replicas': 1}
        volume = made.create_volume(
            PROJECT, model.NewVolume(**{**values, **fields}))

        def settled() -> model.Volume | None:
            found = made.get_volume(PROJECT, volume.uuid)
            return found if found.state.settled else None

        return timing.wait_until(settled, timing.Deadline.after(5), 'volume')


class Clock:
    """Measures wall time in a ``with`` statement; `seconds` afterwards."""

    def __enter__(self) -> Clock:
        self.seconds = 0.0
        self._started = time.monotonic()
        return self

    def __exit__(self, *_error: object) -> None:
        self.seconds = time.monotonic() - self._started
