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

"""Which pool each record should name, and whether it does.

The option ``lightbits_pools`` decides which pools exist. Cinder looks a
volume's pool up by the exact name in its record when the volume is extended
or gets a snapshot, so records have to be rewritten when the option changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
import dataclasses
import enum

from cinder.volume import volume_utils

VOLUME = 'volume'
SNAPSHOT = 'snapshot'
GROUP = 'group'
CACHE_ENTRY = 'image-cache-entry'


class Action(enum.Enum):
    """What has to be done about a record."""

    NONE = 'none'
    REWRITE = 'rewrite'
    FOLLOW = 'follows its volume'
    BLOCKED = 'blocked'


@dataclasses.dataclass(frozen=True, slots=True)
class Home:
    """Where a record says it is.

    :param host: ``host@backend#pool``.
    :param cluster_name: ``cluster@backend#pool`` of a clustered service.
    """

    host: str
    cluster_name: str | None

    def in_pool(self, pool: str) -> Home:
        """:returns: the same service, another pool."""
        return Home(_in_pool(self.host, pool),
                    self.cluster_name and _in_pool(self.cluster_name, pool))


def pool_of(host: str) -> str | None:
    """:returns: the pool that a host's name ends in, if any."""
    found: str | None = volume_utils.extract_host(host, 'pool')
    return found


def _in_pool(name: str, pool: str) -> str:
    backend = volume_utils.extract_host(name, 'backend')
    return str(volume_utils.append_host(backend, pool))


@dataclasses.dataclass(frozen=True, slots=True)
class Tenant:
    """A record that names a pool.

    :param id: of the record; that of a cache entry is a number.
    :param volume_id: the volume that a snapshot or cache entry is of.
    :param group_id: the group that a volume is in.
    """

    resource: str
    id: str
    home: Home
    status: str = ''
    volume_id: str | None = None
    group_id: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """What is to become of a record.

    :param wanted: where it should say it is; None if nobody knows.
    :param problem: why nobody knows, or why it must not be touched now.
    """

    tenant: Tenant
    wanted: Home | None
    problem: str = ''

    @property
    def action(self) -> Action:
        """What has to be done."""
        if self.wanted == self.tenant.home:
            return Action.NONE
        if self.tenant.resource == SNAPSHOT:
            return Action.FOLLOW
        if self.wanted is None or self.problem:
            return Action.BLOCKED
        return Action.REWRITE


@dataclasses.dataclass(frozen=True, slots=True)
class Pool:
    """The pool a volume belongs in.

    :param name: None if nobody knows.
    :param problem: why nobody knows.
    """

    name: str | None
    problem: str = ''


NOWHERE = Pool(None, 'its volume is not there')


def plan(volumes: Iterable[Tenant], others: Iterable[Tenant],
         pools: Mapping[str, Pool], busy: Mapping[str, str],
         only: str | None) -> list[Move]:
    """Work out what has to be rewritten.

    :param others: snapshots, groups and cache entries.
    :param pools: where volumes belong, by their ids.
    :param busy: why volumes must not be touched now, by their ids.
    :param only: the one pool there is; None with a pool per cluster.
    :returns: a move for each record, those that are right included.
    """
    kept = list(volumes)
    moves = [_of_volume(item, pools[item.id], busy.get(item.id, ''))
             for item in kept]
    members = _members(kept, pools)
    for item in others:
        if item.resource == GROUP:
            moves.append(_of_group(item, members.get(item.id, []), only))
        else:
            pool = pools.get(item.volume_id or '', NOWHERE)
            moves.append(_of_volume(item, pool, ''))
    return moves


def _of_volume(item: Tenant, pool: Pool, busy: str) -> Move:
    if pool.name is None:
        return Move(item, None, pool.problem)
    return Move(item, item.home.in_pool(pool.name), busy)


def _members(volumes: Iterable[Tenant], pools: Mapping[str, Pool]
             ) -> dict[str, list[Pool]]:
    found: dict[str, list[Pool]] = {}
    for item in volumes:
        if item.group_id is not None:
            found.setdefault(item.group_id, []).append(pools[item.id])
    return found


def _of_group(item: Tenant, members: Sequence[Pool], only: str | None
              ) -> Move:
    """A group names one pool, and its volumes have to be in it."""
    if only is not None:
        return Move(item, item.home.in_pool(only))
    names = sorted({pool.name for pool in members if pool.name is not None})
    if any(pool.name is None for pool in members):
        return Move(item, None, 'nobody knows where one of its volumes is')
    if not names:
        return Move(item, None, 'it is empty, so no pool is its own: '
                    'delete it')
    if len(names) > 1:
        return Move(item, None, f'its volumes are on several clusters '
                    f'({", ".join(names)}): take some out of it')
    return Move(item, item.home.in_pool(names[0]))


def due(moves: Iterable[Move]) -> list[Move]:
    """:returns: the moves about which something has to be done."""
    return [move for move in moves if move.action is not Action.NONE]


def commands(moves: Sequence[Move]) -> Iterator[str]:
    """The same by Cinder's own means, where that is possible.

    ``cinder-manage volume update_host`` moves all volumes of a pool to one
    other, and nothing but volumes.
    """
    volumes = [move for move in moves if move.tenant.resource == VOLUME]
    targets: dict[str, set[str | None]] = {}
    for move in volumes:
        targets.setdefault(move.tenant.home.host, set()).add(
            move.wanted.host if move.action is Action.REWRITE
            and move.wanted else None)
    clustered = any(move.tenant.home.cluster_name for move in moves)
    for host, wanted in sorted(targets.items()):
        target = next(iter(wanted))
        if len(wanted) == 1 and target is not None and not clustered:
            yield (f'cinder-manage volume update_host --currenthost {host} '
                   f'--newhost {target}')
