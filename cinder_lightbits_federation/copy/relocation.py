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

"""Moving a volume to another cluster: copy, cut over, remove what is left.

The order makes every moment a safe one to be killed in: while the data is
being copied the record names the old place; it names the new one only when
all data is there; and the old volume goes last.
"""

from __future__ import annotations

import dataclasses
import logging

from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation.copy.ledger import Ledger
from cinder_lightbits_federation.copy.state import Stage
from cinder_lightbits_federation.copy.state import State
from cinder_lightbits_federation.copy.transfer import Order
from cinder_lightbits_federation.copy.transfer import Transfer
from cinder_lightbits_federation import errors as federation_errors
from cinder_lightbits_federation.finder import check_volume
from cinder_lightbits_federation.finder import Found
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation.refs import Created
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.remover import remove_volume

LOG = logging.getLogger(__name__)

LEAVING = 'the volume is being moved off it'


class Relocation:
    """Moves volumes that nobody uses."""

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self._federation = transfer.federation

    def move(self, request: CreateRequest, ledger: Ledger) -> Created:
        """Move a volume off its cluster, or go on with its move.

        The caller sees to it that nobody attaches it meanwhile.

        :param request: the volume as it is and what is asked of its new
            place; its own cluster is excluded. Its recorder writes the new
            location, when all data is there.
        :returns: the volume where it is now.
        :raises Cancelled: all is as before.
        :raises Lost: another host has the move.
        :raises Unsuitable: the volume cannot be moved; all is as before.
        :raises NoClusterFits: no other cluster takes it.
        """
        state = State.parse(ledger.load())
        if state is None or state.stage is not Stage.COPIED:
            created = self._transfer.thick_copy(
                self._order(request), ledger)
        else:
            created = self._transfer.copied(state)
        state = State.parse(ledger.load())
        if state is None:
            raise errors.Lost('the record of the move is gone')
        self._cut_over(request, created, state, ledger)
        return created

    def abandon(self, request: CreateRequest, ledger: Ledger) -> None:
        """Bring a move that nobody goes on with to an end. Idempotent.

        What was copied in part is removed. A volume whose record names the
        new place already is moved for good.

        :raises FederationError, LightbitsError: a cluster does not answer.
        """
        state = State.parse(ledger.load())
        if state is None:
            return
        if _names(request.ref.location, state.target):
            self._finish(request.ref, self._transfer.copied(state), state)
        else:
            self._transfer.undo(self._order(request), ledger)

    def _order(self, request: CreateRequest) -> Order:
        source = self._federation.finder.volume(
            request.ref, self._federation.deadline())
        using = source.thing.acl | set(source.thing.connected_hosts)
        if using:
            raise errors.Unsuitable(
                f'volume {request.ref.name} is in use by '
                f'{", ".join(sorted(using))}')
        return Order(source, dataclasses.replace(request, exclude={
            **request.exclude, source.cluster.uuid or '': LEAVING}),
            settle=True)

    def _cut_over(self, request: CreateRequest, created: Created,
                  state: State, ledger: Ledger) -> None:
        ref = request.ref
        if not _names(ref.location, state.target):
            try:
                self._check_name(ref, created)
            except federation_errors.NameTaken:
                self._transfer.undo(self._order(request), ledger)
                raise
            # From here on the volume is where the copy is.
            request.recorder.record(created.location)
        self._finish(ref, created, state)
        LOG.info('Volume %s has moved to cluster %s.', ref.name,
                 created.cluster)

    def _check_name(self, ref: VolumeRef, created: Created) -> None:
        """See that the volume can have its name where it goes."""
        cluster = self._federation.finder.place(created.location)
        deadline = self._federation.deadline()
        with cluster.api(deadline) as client:
            found = client.find_volume(created.location.project, ref.name,
                                       deadline=deadline)
        if found is not None and found.uuid != created.volume.uuid:
            raise federation_errors.NameTaken(
                f'a volume {ref.name} ({found.uuid}) is on cluster '
                f'{cluster.name} already; nothing was moved')

    def _finish(self, ref: VolumeRef, created: Created, state: State
                ) -> None:
        """Name the new volume and remove the old one. Idempotent."""
        cluster = self._federation.finder.place(created.location)
        self._transfer.pieces.rename(
            Found(cluster, created.location.project, created.volume),
            ref.name)
        self._remove_source(ref, *state.source)

    def _remove_source(self, ref: VolumeRef, cluster_uuid: str,
                       project: str, uuid: str) -> None:
        cluster = self._federation.registry.by_uuid(cluster_uuid)
        deadline = self._federation.deadline()

        def check(now: model.Volume) -> None:
            check_volume(ref, self._federation.owner, now)

        with cluster.api(deadline) as client:
            try:
                old = client.get_volume(project, uuid, deadline=deadline)
            except lb_errors.NotFound:
                return
            remove_volume(client, project, old, check, deadline)


def _names(recorded: Location | None, target: Location | None) -> bool:
    """Whether a record names the new volume."""
    return (recorded is not None and target is not None
            and recorded.object_uuid is not None
            and recorded.object_uuid == target.object_uuid)
