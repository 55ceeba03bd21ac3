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

"""How many copies a cluster takes at once, on all hosts together.

A lock per place: who holds one may copy from or to the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import contextlib
import itertools
import logging

import tooz

from cinder_lightbits_federation import locks
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import wait_until

LOG = logging.getLogger(__name__)

# Other copies may take days.
PATIENCE = 30 * 86400.0
# Seconds between two looks for a place. Where locks are leases, as in etcd,
# each look makes one for each place, which stays until it ends by itself.
LONGEST_PAUSE = 10.0


class Slots:
    """Places for copies on clusters.

    :param limit: per cluster.
    """

    def __init__(self, get_lock: locks.GetLock, limit: int) -> None:
        self._get_lock = get_lock
        self._limit = limit

    @contextlib.contextmanager
    def held(self, clusters: Sequence[str], check: Callable[[], None],
             patience: float = PATIENCE) -> Iterator[None]:
        """Have a place on each cluster, waiting for it.

        They are taken in the same order by everybody, so that no two wait
        for each other.

        :param clusters: UUIDs.
        :param check: raises when there is no use in waiting any longer.
        :param patience: seconds to wait at most.
        :raises DeadlineExceeded: others have had the places all that time.
        """
        deadline = Deadline.after(patience)
        with contextlib.ExitStack() as stack:
            for uuid in sorted(set(clusters)):
                lock = self._wait(uuid, check, deadline)
                stack.callback(_give_back, lock)
            yield

    def _wait(self, uuid: str, check: Callable[[], None],
              deadline: Deadline) -> locks.Lock:
        asked = itertools.count()

        def take() -> locks.Lock | None:
            if next(asked):
                check()
            for number in range(self._limit):
                with contextlib.suppress(tooz.ToozError):
                    lock = self._get_lock(f'lightbits-copy-{uuid}-{number}')
                    if lock.acquire(blocking=False):
                        return lock
            return None

        return wait_until(
            take, deadline, f'a place for a copy on cluster {uuid}',
            lambda: f'none of {self._limit} could be had',
            longest=LONGEST_PAUSE)


def _give_back(lock: locks.Lock) -> None:
    try:
        lock.release()
    except tooz.ToozError as exc:
        LOG.warning('A place for copies stays taken until its lease ends: '
                    '%s', exc)
