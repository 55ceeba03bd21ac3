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

"""The attachments of a volume, as Cinder's database has them now.

Objects of ``cinder.objects`` would load the volume, its type and metadata, and
the specs of each attachment with it; one question for four columns does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import json
from typing import Any

from cinder import context as cinder_context
from cinder.db import api as db_api
import sqlalchemy as sa

from cinder_lightbits_federation.access import HostAccess
from cinder_lightbits_federation.cinderdb import model_of
from cinder_lightbits_federation.cinderdb import reading
from cinder_lightbits_federation.records import host_of
from cinder_lightbits_federation.settings import Network


@dataclasses.dataclass(frozen=True, slots=True)
class Attached:
    """An attachment.

    :param status: one of Cinder's ``VolumeAttachStatus``.
    :param connector: properties of its host; empty if it was never connected.
    """

    id: str
    volume_id: str
    status: str
    connector: Mapping[str, Any]

    def update(self, values: Mapping[str, Any],
               expected: Mapping[str, Any]) -> bool:
        """Change its row if that is as expected.

        :returns: whether it was changed.
        """
        return bool(db_api.conditional_update(
            cinder_context.get_admin_context(), model_of('VolumeAttachment'),
            dict(values), {**expected, 'id': self.id}))


def attachments_of(volume_id: str) -> list[Attached]:
    """Read the attachments of a volume that are not deleted.

    From the database: the object at hand may be older.
    """
    model = model_of('VolumeAttachment')
    wanted = sa.select(
        model.id, model.volume_id, model.attach_status, model.connector,
    ).where(model.volume_id == volume_id, ~model.deleted)
    with reading() as session:
        return [Attached(uuid, volume, status or '',
                         json.loads(connector) if connector else {})
                for uuid, volume, status, connector
                in session.execute(wanted)]


def hosts(attachments: Iterable[Attached], networks: Sequence[Network]
          ) -> list[HostAccess]:
    """The hosts of attachments, one entry per attachment.

    An attachment without a connector was never connected.
    """
    return [host_of(item.connector, networks) for item in attachments
            if item.connector.get('nqn')]


def others(volume: Any, host: HostAccess, networks: Sequence[Network]
           ) -> tuple[bool, list[HostAccess]]:
    """Tell a host from the others that a volume is attached to.

    :returns: whether this one has it twice, and the others.
    """
    found = hosts(attachments_of(volume.id), networks)
    rest = [item for item in found if item.nqn != host.nqn]
    return len(found) - len(rest) > 1, rest
