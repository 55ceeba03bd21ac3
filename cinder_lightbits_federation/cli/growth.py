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

"""How fast a backend grows, from Cinder's records.

Cinder keeps the rows of deleted volumes, with the moment of their end, until
an operator purges them.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime

import sqlalchemy as sa

from cinder_lightbits_federation import cinderdb
from cinder_lightbits_federation.sizes import GIB

_DAY = datetime.timedelta(days=1)


@dataclasses.dataclass(frozen=True, slots=True)
class Growth:
    """Sizes of volumes made, less those deleted, in the last days.

    :param sizes: bytes for data, by the UUID of the cluster; volumes without
        a recorded place are in none.
    :param days: that they are of, at least 1.
    """

    sizes: Mapping[str, int]
    days: float

    def daily(self, cluster: str | None) -> float:
        """:returns: bytes a day, maybe below 0; None is all clusters."""
        size = (sum(self.sizes.values()) if cluster is None
                else self.sizes.get(cluster, 0))
        return size / self.days


def seconds_left(room: int | None, daily: float) -> float | None:
    """Extrapolate.

    :param room: bytes that can still be promised.
    :param daily: bytes that are promised in a day.
    :returns: None if the room is not known, or if it does not become less.
    """
    if room is None or daily <= 0:
        return None
    return room / daily * _DAY.total_seconds()


def measure(host: str, cluster_name: str | None, days: float) -> Growth:
    """Look at the volumes that came and went.

    A volume counts with the size and on the cluster that it has now.

    :param host: ``host@backend``.
    :param days: how far back; less where the first volume is younger.
    """
    model = cinderdb.model_of('Volume')
    # Cinder keeps UTC without saying so.
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    with cinderdb.reading() as session:
        mine = cinderdb.of_backend(model, host, cluster_name)
        first = session.query(sa.func.min(model.created_at)).filter(
            mine).scalar()
        span = _span(first, now, days)
        since = now - span
        young = model.created_at >= since
        place = cinderdb.cluster_recorded(model)
        rows = session.query(
            place,
            sa.func.sum(sa.case(
                (sa.and_(young, sa.not_(model.deleted)), model.size),
                (sa.and_(sa.not_(young), model.deleted,
                         model.deleted_at >= since), -model.size), else_=0))
        ).filter(mine).group_by(place).all()
    return Growth({uuid: int(gib or 0) * GIB for uuid, gib in rows if uuid},
                  span / _DAY)


def _span(first: datetime.datetime | None, now: datetime.datetime,
          days: float) -> datetime.timedelta:
    most = datetime.timedelta(days=days)
    return most if first is None else min(most, max(_DAY, now - first))
