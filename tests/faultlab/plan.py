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
"""What happens when, from a seed. Pure: the same seed gives the same plan.

What an operation is about cannot be in the plan, as it depends on what there
is by then; the plan has a number that picks it. Nor can it tell which service
comes to a crash point: it is the one that dies.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum
import random

from tests.stack import bed
from tests.stack import locks
from tests.stack import settings


class Act(enum.Enum):
    """What users do; the value is its name in reports."""

    CREATE = 'create'
    CLONE = 'clone'
    FROM_SNAPSHOT = 'create from snapshot'
    SNAPSHOT = 'take snapshot'
    ATTACH = 'attach'
    DETACH = 'detach'
    EXTEND = 'extend'
    DELETE = 'delete'
    DELETE_SNAPSHOT = 'delete snapshot'
    RETYPE = 'retype'
    REVERT = 'revert to snapshot'


class Trouble(enum.Enum):
    """What breaks; the value is its name in reports."""

    KILL = 'kill -9 of services'
    KILL_AT = 'kill -9 of the service at a crash point'
    PAUSE = 'services stand still for longer than a lease'
    CLUSTER_DOWN = 'cluster is down'
    CLUSTER_SLOW = 'cluster is slow'
    CLUSTER_FLAPS = 'cluster comes and goes'
    BLACK_HOLE = 'cluster swallows everything'
    UPGRADE = 'upgrade of a cluster, node by node'
    NODE_DOWN = 'an API server of a cluster is down'
    REFUSALS = 'cluster refuses requests'
    LOST_ANSWERS = 'cluster does it and the answer is lost'
    LOCKS_RESTART = 'restart of the lock service'
    DATABASE_RESTART = 'restart of the database'
    BROKER_RESTART = 'restart of the broker'
    CLEAN_WORKERS = 'operator cleans up after services that are down'


ACTS: Mapping[Act, int] = {
    Act.CREATE: 24, Act.CLONE: 10, Act.FROM_SNAPSHOT: 8, Act.SNAPSHOT: 14,
    Act.ATTACH: 18, Act.DETACH: 14, Act.EXTEND: 9, Act.DELETE: 16,
    Act.DELETE_SNAPSHOT: 7, Act.RETYPE: 6, Act.REVERT: 6}

OFTEN: Mapping[Trouble, int] = {
    Trouble.KILL: 26, Trouble.KILL_AT: 32, Trouble.PAUSE: 5,
    Trouble.CLUSTER_DOWN: 5, Trouble.CLUSTER_SLOW: 4,
    Trouble.CLUSTER_FLAPS: 4, Trouble.BLACK_HOLE: 4, Trouble.UPGRADE: 3,
    Trouble.NODE_DOWN: 5, Trouble.REFUSALS: 10, Trouble.LOST_ANSWERS: 10,
    Trouble.LOCKS_RESTART: 3, Trouble.DATABASE_RESTART: 2,
    Trouble.BROKER_RESTART: 2, Trouble.CLEAN_WORKERS: 5}

ROUTES = ('volumes.create', 'volumes.update', 'volumes.delete',
          'snapshots.create', 'snapshots.delete')
# When a service dies: before the cluster has done the request, so that it
# never does; after it, when nobody hears the answer; or before it, and the
# cluster does it all the same, some seconds after the service has died.
MOMENTS = ('before', 'after', 'late')
POINTS = tuple(f'{moment} {route}' for route in ROUTES for moment in MOMENTS)

STATUSES = (409, 412, 500, 503)

# Seconds between two events, on average.
ACT_EVERY = 0.7
TROUBLE_EVERY = 4.0

_SHORTEST_PAUSE = locks.LEASE + 2.0
_LONGEST_PAUSE = locks.LEASE + 8.0
_SHORTEST, _LONGEST = 2.0, 9.0
_UPGRADE_FACTOR = 3

# Hosts that attach, and nodes of a cluster.
HOSTS = 4
NODES = 3

_OF_CLUSTERS = frozenset({
    Trouble.CLUSTER_DOWN, Trouble.CLUSTER_SLOW, Trouble.CLUSTER_FLAPS,
    Trouble.BLACK_HOLE, Trouble.UPGRADE, Trouble.NODE_DOWN,
    Trouble.REFUSALS, Trouble.LOST_ANSWERS})


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One request of a user.

    :ivar at: seconds after the start.
    :ivar draw: from 0 to 1; picks what it is about.
    :ivar host: number of the host that attaches.
    """

    at: float
    act: Act
    draw: float
    host: int


@dataclasses.dataclass(frozen=True, slots=True)
class Break:
    """One thing that goes wrong.

    :ivar at: seconds after the start.
    :ivar seconds: how long it lasts.
    :ivar hosts: the services that it strikes, if that is up to the plan.
    :ivar cluster: the cluster that it strikes.
    :ivar detail: status and route, crash point, or number of a node.
    """

    at: float
    trouble: Trouble
    seconds: float
    hosts: tuple[str, ...] = ()
    cluster: str = ''
    detail: str = ''

    def __str__(self) -> str:
        whom = ', '.join(self.hosts) or self.cluster
        return ' '.join(filter(None, (
            f'{self.at:7.1f} s', self.trouble.value, whom, self.detail,
            f'for {self.seconds:.1f} s')))


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Everything, in the order it happens in."""

    seed: int
    seconds: float
    steps: tuple[Step, ...]
    breaks: tuple[Break, ...]


def make(seed: int, seconds: float,
         troubles: Mapping[Trouble, int] = OFTEN) -> Plan:
    """Make the plan of a seed.

    :param seconds: how long it takes.
    :param troubles: what may break, and how often compared to the others.
    """
    rng = random.Random(seed)
    steps = tuple(_step(rng, at) for at in _times(rng, seconds, ACT_EVERY))
    breaks = tuple(_break(rng, at, troubles)
                   for at in _times(rng, seconds, TROUBLE_EVERY))
    return Plan(seed, seconds, steps, breaks)


def _times(rng: random.Random, seconds: float, every: float) -> list[float]:
    times = []
    now = rng.uniform(0, every)
    while now < seconds:
        times.append(round(now, 3))
        now += rng.uniform(0.3, 1.7) * every
    return times


def _step(rng: random.Random, at: float) -> Step:
    act, = rng.choices(list(ACTS), list(ACTS.values()))
    return Step(at, act, rng.random(), rng.randint(1, HOSTS))


def _break(rng: random.Random, at: float,
           troubles: Mapping[Trouble, int]) -> Break:
    trouble, = rng.choices(list(troubles), list(troubles.values()))
    seconds = rng.uniform(_SHORTEST, _LONGEST)
    if trouble is Trouble.PAUSE:
        seconds = rng.uniform(_SHORTEST_PAUSE, _LONGEST_PAUSE)
    elif trouble is Trouble.UPGRADE:
        seconds *= _UPGRADE_FACTOR
    return Break(
        at, trouble, round(seconds, 3), _victims(rng, trouble),
        rng.choice(bed.CLUSTERS) if trouble in _OF_CLUSTERS else '',
        _detail(rng, trouble))


def _victims(rng: random.Random, trouble: Trouble) -> tuple[str, ...]:
    if trouble is Trouble.KILL:
        count = rng.choice((1, 1, 2, 2, 3))
    elif trouble is Trouble.PAUSE:
        count = 1
    else:
        return ()
    return tuple(sorted(rng.sample(settings.HOSTS, count)))


def _detail(rng: random.Random, trouble: Trouble) -> str:
    if trouble is Trouble.KILL_AT:
        return rng.choice(POINTS)
    if trouble is Trouble.REFUSALS:
        return f'{rng.choice(STATUSES)} {rng.choice(ROUTES)}'
    if trouble is Trouble.LOST_ANSWERS:
        return rng.choice(ROUTES)
    if trouble is Trouble.NODE_DOWN:
        return str(rng.randrange(NODES))
    return ''
