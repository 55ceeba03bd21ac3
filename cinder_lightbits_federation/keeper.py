# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The thread that looks after one cluster."""

from __future__ import annotations

import logging
import random
import threading
import time

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.expiry import ExpiryWatch
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.views import Use

LOG = logging.getLogger(__name__)

STILL_DOWN_EVERY = 60.0
FIRST_RETRY = 1.0
MOST_DOUBLINGS = 16


class Keeper:
    """Looks at a cluster again and again, more often while it is down.

    :param interval: seconds between two looks at a healthy cluster.
    """

    def __init__(self, cluster: Cluster, interval: float) -> None:
        self.cluster = cluster
        self.seen = threading.Event()
        self._interval = interval
        self._stopped = threading.Event()
        self._complained = time.monotonic()
        self._expiry = ExpiryWatch(cluster)

    def start(self) -> None:
        """Start looking; `seen` is set after the first look."""
        threading.Thread(target=self._run, daemon=True,
                         name=f'lightbits-{self.cluster.name}').start()

    def stop(self) -> None:
        """Stop looking. Idempotent."""
        self._stopped.set()
        self.cluster.wanted.set()

    def _run(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            good = self._look()
            self.seen.set()
            failures = 0 if good else failures + 1
            if failures:
                self._complain()
            if self.cluster.wanted.wait(self._pause(failures)):
                self.cluster.wanted.clear()

    def _look(self) -> bool:
        if not self.cluster.allows(Use.ASK):
            return True
        try:
            good = self.cluster.refresh(Deadline.after(
                self.cluster.settings.client.api_timeout))
            self._expiry.look()
            return good
        except Exception:  # A thread's top: nobody would notice its death.
            LOG.exception('Looking at cluster %s failed.', self.cluster.name)
            return False

    def _complain(self) -> None:
        now = time.monotonic()
        if now - self._complained >= STILL_DOWN_EVERY:
            self._complained = now
            status = self.cluster.status
            if status.reason:
                LOG.warning('Cluster %s is still %s: %s', self.cluster.name,
                            status.connection.value, status.reason)
            else:
                LOG.warning('Cluster %s is %s, but its state cannot be read: '
                            '%s', self.cluster.name, status.connection.value,
                            self.cluster.unread or 'no answer in time')

    def _pause(self, failures: int) -> float:
        """:param failures: looks in a row that were not answered properly.

        :returns: seconds until the next look.
        """
        if failures:
            return min(FIRST_RETRY * 2.0 ** min(failures - 1, MOST_DOUBLINGS),
                       self._interval)
        # Spreads the looks of many hosts, guards nothing.
        return self._interval * random.uniform(0.9, 1.1)  # noqa: S311
