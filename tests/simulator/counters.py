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

"""What a cluster's API has been asked."""

from __future__ import annotations

import collections
import typing


class Counters:
    """Counts of one cluster since its start or the last reset."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Count from 0 again; what is in flight stays so."""
        self.requests: dict[str, collections.Counter[int]] = {}
        self.received: collections.Counter[str] = collections.Counter()
        self.tcp = 0
        self.tls_full = 0
        self.tls_resumed = 0
        self.in_flight_max = self.in_flight

    def begin(self, route: str) -> None:
        """Count a request received."""
        self.received[route] += 1
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)

    def end(self, route: str, status: int) -> None:
        """Count a request that is over; 0 is one without a reply."""
        self.in_flight -= 1
        counts = self.requests.get(route)
        if counts is None:
            counts = self.requests[route] = collections.Counter()
        counts[status] += 1

    def handshake(self, *, resumed: bool) -> None:
        """Count a TLS handshake completed."""
        if resumed:
            self.tls_resumed += 1
        else:
            self.tls_full += 1

    def as_json(self) -> dict[str, typing.Any]:
        """Return all counts."""
        return {
            'requests': dict(self.received),
            'statuses': {
                route: {str(status): count for status, count in hits.items()}
                for route, hits in self.requests.items()
            },
            'total': sum(self.received.values()),
            'tcp': self.tcp,
            'tls': self.tls_full + self.tls_resumed,
            'tls_full': self.tls_full,
            'tls_resumed': self.tls_resumed,
            'in_flight': self.in_flight,
            'in_flight_max': self.in_flight_max,
        }


class Journal:
    """The last requests of one cluster, oldest first.

    :param size: how many are kept; 0 keeps none.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.entries: collections.deque[dict[str, typing.Any]] = (
            collections.deque(maxlen=size)
        )

    def add(self, **entry: typing.Any) -> None:
        """Note a request that is over."""
        if self.size:
            self.entries.append(entry)
