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

"""The operations of a driver, each prepared apart from what is timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent import futures
import dataclasses
import itertools
import time
from typing import Any

from tests.bench import environment as env

#: One operation, ready to be timed.
Step = Callable[[], Any]

_numbers = itertools.count(1)


class Workload:
    """Prepares operations for a driver.

    :param type_id: of the volumes; the in-tree driver fails on volumes
        without a type.
    """

    def __init__(self, bench: env.Environment, driver: Any, type_id: str
                 ) -> None:
        self._bench = bench
        self._driver = driver
        self._type_id = type_id

    def _record(self) -> Any:
        return self._bench.volume(type_id=self._type_id)

    def _volume(self) -> Any:
        made = self._record()
        return env.saved(made, self._driver.create_volume(made))

    def _snapshot(self) -> Any:
        made = self._bench.snapshot(self._volume())
        self._driver.create_snapshot(made)
        return made

    def create(self) -> Step:
        """A new volume."""
        volume = self._record()
        return lambda: self._driver.create_volume(volume)

    def clone(self) -> Step:
        """A volume of a volume."""
        source, volume = self._volume(), self._record()
        return lambda: self._driver.create_cloned_volume(volume, source)

    def from_snapshot(self) -> Step:
        """A volume of a snapshot."""
        made, volume = self._bench.snapshot(self._volume()), self._record()
        update = self._driver.create_snapshot(made)
        if update:
            env.saved(made, update)
        return lambda: self._driver.create_volume_from_snapshot(volume, made)

    def snapshot(self) -> Step:
        """A snapshot of a volume."""
        made = self._bench.snapshot(self._volume())
        return lambda: self._driver.create_snapshot(made)

    def extend(self) -> Step:
        """A volume of 1 GiB grows to 2."""
        volume = self._volume()
        return lambda: self._driver.extend_volume(volume, 2)

    def attach(self) -> Step:
        """A host is admitted to a volume that no host had."""
        volume, host = self._volume(), env.connector(next(_numbers) % 250 + 1)
        return lambda: self._driver.initialize_connection(volume, host)

    def detach(self) -> Step:
        """The only host of a volume leaves it."""
        volume, host = self._volume(), env.connector(next(_numbers) % 250 + 1)
        self._driver.initialize_connection(volume, host)
        self._bench.attachment(volume, host)
        return lambda: self._driver.terminate_connection(volume, host,
                                                         force=False)

    def delete(self) -> Step:
        """A volume without snapshots goes."""
        volume = self._volume()
        return lambda: self._driver.delete_volume(volume)


OPERATIONS: dict[str, Callable[[Workload], Step]] = {
    'create': Workload.create, 'clone': Workload.clone,
    'volume from snapshot': Workload.from_snapshot,
    'snapshot': Workload.snapshot, 'extend': Workload.extend,
    'attach': Workload.attach, 'detach': Workload.detach,
    'delete': Workload.delete}


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """What a number of equal operations took.

    :param seconds: of each, by the clock.
    :param cpu: seconds of this process for all of them, in all threads.
    :param wall: seconds from the start of the first to the end of the last.
    """

    seconds: tuple[float, ...]
    cpu: float
    wall: float

    @property
    def rate(self) -> float:
        """Operations per second."""
        return len(self.seconds) / self.wall

    @property
    def cpu_each(self) -> float:
        """CPU seconds of one operation."""
        return self.cpu / len(self.seconds)


def _timed(step: Step) -> float:
    started = time.monotonic()
    step()
    return time.monotonic() - started


def measure(steps: Sequence[Step], in_flight: int) -> Measured:
    """Carry out all steps, `in_flight` of them at a time.

    :raises Exception: whatever a step raises.
    """
    with futures.ThreadPoolExecutor(in_flight) as pool:
        # All threads exist before the clock runs.
        list(pool.map(time.sleep, [0.01] * in_flight))
        cpu, wall = time.process_time(), time.monotonic()
        seconds = tuple(pool.map(_timed, steps))
        return Measured(seconds, time.process_time() - cpu,
                        time.monotonic() - wall)
