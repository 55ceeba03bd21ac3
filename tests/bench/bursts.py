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
"""Many creates at once, through the API of running services."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent import futures
import dataclasses
import os
import threading
import time
from typing import Any

from tests.embedded import settings
from tests.embedded import waiting
from tests.stack import bed
from tests.stack import daemons
from tests.stack import stack

_CALLERS = 16
_LOOK_EVERY = 0.1
_PATIENCE = 600.0


# Measured is what operators run: without debugging, and with services that
# count as up for as long as they usually do.
CONFIG = f"""
[DEFAULT]
default_log_levels = cinder=INFO,cinder.service=DEBUG,{settings.QUIET}
report_interval = 10
service_down_time = 120
rpc_response_timeout = 120
"""


class Bed(bed.Bed):
    """Services whose speed is measured; they find drivers among tests."""

    def __init__(self, **options: Any) -> None:
        os.environ['PYTHONPATH'] = str(daemons.ROOT)
        super().__init__(**options)

    def _config(self) -> str:
        return super()._config() + CONFIG


@dataclasses.dataclass(frozen=True, slots=True)
class Burst:
    """How long it took; seconds.

    :ivar all_made: from the first request to the last available volume.
    :ivar each: from each request to its volume being available.
    """

    all_made: float
    each: Sequence[float]


def create(running: stack.Stack, sizes: Sequence[int],
           volume_type: str | None = None) -> Burst:
    """Create volumes side by side and wait for all of them.

    :param sizes: GiB, of each.
    :raises AssertionError: not all of them became available.
    """
    local = threading.local()
    asked: dict[str, float] = {}

    def ask(size: int) -> None:
        if not hasattr(local, 'sdk'):
            local.sdk = running.sdk()
        begin = time.monotonic()
        made = local.sdk.create_volume(size=size, volume_type=volume_type)
        asked[made.id] = begin

    begin = time.monotonic()
    with futures.ThreadPoolExecutor(_CALLERS) as pool:
        done = [pool.submit(ask, size) for size in sizes]
        made = _watch(running, asked, len(sizes), done)
    return Burst(max(made.values()) - begin,
                 [made[number] - asked[number] for number in made])


def _watch(running: stack.Stack, asked: dict[str, float], count: int,
           done: Sequence[futures.Future[None]]) -> dict[str, float]:
    """Return when each volume was seen available."""
    made: dict[str, float] = {}
    deadline = time.monotonic() + _PATIENCE
    while len(made) < count:
        for item in done:
            if item.done():
                item.result()
        now = time.monotonic()
        if now > deadline:
            raise waiting.WaitedTooLong(f'{len(made)} of {count} are made')
        states = {item.id: item.status for item in running.records().volumes}
        if 'error' in states.values():
            raise AssertionError('a volume is in error')
        ready = {number for number, status in states.items()
                 if status == 'available'}
        for number in ready & (asked.keys() - made.keys()):
            made[number] = now
        time.sleep(_LOOK_EVERY)
    return made


def delete_all(running: stack.Stack) -> None:
    """Delete all volumes and wait until they are gone."""
    sdk = running.sdk()
    for volume in list(sdk.volumes()):
        sdk.delete_volume(volume.id)
    waiting.wait_for(lambda: not running.records().volumes,
                     'all volumes to be gone', _PATIENCE)
