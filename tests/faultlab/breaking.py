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
"""Makes what the plan says go wrong, and mends it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
import time

from tests.faultlab import clusters
from tests.faultlab import history
from tests.faultlab import marks
from tests.faultlab import plan
from tests.faultlab import services
from tests.stack import bed

_AT_ONCE = 32

Way = Callable[[plan.Break], None]


class Breaker:
    """Does the breaks of a plan, each in a thread, at the time it says."""

    def __init__(self, lab: bed.Bed, past: history.History) -> None:
        self._past = past
        broken = marks.Marks()
        self._ways = _ways(services.ServiceTroubles(lab, past, broken),
                           clusters.ClusterTroubles(lab, broken))

    def run(self, breaks: Sequence[plan.Break], begin: float,
            over: Callable[[], bool]) -> None:
        """Do all of them; returns when everything is mended again.

        :param begin: monotonic time at which the plan starts.
        :param over: whether to leave out the rest.
        :raises DaemonFailed: something could not be mended.
        """
        with futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            started = []
            for item in breaks:
                time.sleep(max(0.0, begin + item.at - time.monotonic()))
                if over():
                    break
                started.append(pool.submit(self._do, item))
        for done in started:
            done.result()

    def _do(self, item: plan.Break) -> None:
        self._past.tell(str(item))
        try:
            self._ways[item.trouble](item)
        except marks.Busy:
            self._past.tell(f'{item}: skipped, it is broken already')
        else:
            self._past.trouble(item.trouble.value)


def _ways(cinder: services.ServiceTroubles,
          arrays: clusters.ClusterTroubles) -> Mapping[plan.Trouble, Way]:
    trouble = plan.Trouble
    return {
        trouble.KILL: cinder.kill,
        trouble.KILL_AT: cinder.kill_at,
        trouble.PAUSE: cinder.pause,
        trouble.CLEAN_WORKERS: cinder.clean_workers,
        trouble.LOCKS_RESTART: cinder.restart_locks,
        trouble.DATABASE_RESTART: cinder.restart_database,
        trouble.BROKER_RESTART: cinder.restart_broker,
        trouble.CLUSTER_DOWN: arrays.down,
        trouble.CLUSTER_SLOW: arrays.slow,
        trouble.CLUSTER_FLAPS: arrays.flaps,
        trouble.BLACK_HOLE: arrays.black_hole,
        trouble.UPGRADE: arrays.upgrade,
        trouble.NODE_DOWN: arrays.node_down,
        trouble.REFUSALS: arrays.refuses,
        trouble.LOST_ANSWERS: arrays.loses_answers}
