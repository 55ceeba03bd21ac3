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

"""Making a volume exactly once, whatever gets lost on the way.

The place is recorded before the cluster is asked, so a crash leaves at most
one place to look at. A cluster's clear refusal moves on to the next one; an
unclear outcome never does: the cluster is asked by name until it is clear,
and the request is repeated only there, where the unique name makes a second
volume impossible.
"""

from __future__ import annotations

import dataclasses
import logging

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.lightbits import client as lb_client
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.ownership import Claim
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.remover import remove_volume
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import DeadlineExceeded
from cinder_lightbits_federation.timing import wait_until

LOG = logging.getLogger(__name__)


class Refused(Exception):
    """A cluster did not make the volume, and nothing of it is there."""


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """What one cluster is asked for.

    :param new: the request, labels of this attempt included.
    :param attempt: this attempt's mark.
    """

    project: str
    new: model.NewVolume
    attempt: str


def _same_shape(volume: model.Volume, new: model.NewVolume) -> bool:
    """Whether a volume is what a request asks for.

    The cluster may round sizes up to its block size.
    """
    return (new.size <= volume.size < new.size + 4096
            and volume.replicas == new.replicas
            and volume.source_snapshot_uuid == (
                new.source_snapshot_uuid or ''))


def _ended(volume: model.Volume) -> bool:
    """Whether a creation is over, well or badly."""
    return (volume.state.settled or volume.state.going
            or volume.state is model.VolumeState.FAILED)


class Creator:
    """Makes one volume on one cluster."""

    def __init__(self, owner: ownership.Owner) -> None:
        self._owner = owner

    def make(self, cluster: Cluster, request: CreateRequest, recipe: Recipe,
             deadline: Deadline) -> tuple[Location, model.Volume]:
        """Record the place, make the volume, wait until it is usable.

        :returns: the completed location and the volume.
        :raises Refused: the cluster did not make it; another one may.
        :raises OutcomeUnknown: it may exist; no other cluster may be tried.
        :raises NameTaken: an object that may be ours has the name.
        :raises RecordLost: somebody else took over this record.
        """
        if cluster.uuid is None:
            raise Refused('not reached yet')
        ahead = Location(cluster.uuid, request.ref.name_id, recipe.project,
                         None, recipe.attempt)
        request.recorder.record(ahead)
        try:
            with cluster.api(deadline) as client:
                volume = self._post(client, recipe, deadline,
                                    cluster.settings.client.api_timeout)
                volume = self._wait(cluster, recipe, volume, deadline)
        except (lb_errors.Rejected, lb_errors.NotSent) as exc:
            raise Refused(str(exc)) from exc
        location = ahead.completed(volume.uuid)
        try:
            request.recorder.record(location)
        except errors.RecordLost:
            self._discard(cluster, recipe, volume, deadline)
            raise
        return location, volume

    def settle(self, cluster: Cluster, request: CreateRequest,
               recipe: Recipe, location: Location, deadline: Deadline,
               keep: bool) -> tuple[Location, model.Volume] | None:
        """Clear up what an earlier attempt for the same record left.

        :param location: recorded by that attempt.
        :param keep: whether the volume may be on this cluster now; else it
            is removed.
        :returns: the volume, taken over, if it is what is wanted now; None
            when nothing is left.
        :raises OutcomeUnknown: the cluster cannot be asked.
        """
        try:
            with cluster.api(deadline) as client:
                volume = client.find_volume(location.project,
                                            request.ref.name,
                                            deadline=deadline)
                if volume is None or self._foreign(volume, recipe):
                    return None
                kept = self._inherit(client, location.project, recipe,
                                     volume, deadline,
                                     location.object_uuid, keep)
        except (lb_errors.LightbitsError, DeadlineExceeded) as exc:
            raise errors.OutcomeUnknown(
                f'an earlier attempt may have left volume '
                f'{request.ref.name} on cluster {cluster.name}, which '
                f'cannot be asked: {exc}') from exc
        if kept is None:
            return None
        taken = dataclasses.replace(location, object_uuid=kept.uuid,
                                    attempt=recipe.attempt)
        request.recorder.record(taken)
        return taken, kept

    def _post(self, client: lb_client.LightbitsClient, recipe: Recipe,
              deadline: Deadline, patience: float) -> model.Volume:
        """Ask for the volume until the outcome is clear.

        :param patience: seconds to let a cluster say that it is busy, while
            another one may still be asked instead.
        """
        doubt: lb_errors.LightbitsError | None = None

        def attempt() -> model.Volume | None:
            nonlocal doubt
            try:
                if doubt is not None:
                    found = self._look(client, recipe, deadline)
                    if found is not None:
                        return found
                limit = deadline if doubt else deadline.capped(patience)
                return client.create_volume(recipe.project, recipe.new,
                                            deadline=limit)
            except lb_errors.Ambiguous as exc:
                doubt = exc
                return None
            except lb_errors.Conflict as exc:
                return self._conflict(client, recipe, exc, deadline)

        try:
            return wait_until(attempt, deadline.before_last_look(),
                              f'creating {recipe.new.name}', lambda: doubt)
        except (lb_errors.LightbitsError, DeadlineExceeded) as exc:
            if doubt is None:
                raise
            raise errors.OutcomeUnknown(
                f'volume {recipe.new.name} may have been created: '
                f'{doubt}; then: {exc}') from exc

    def _look(self, client: lb_client.LightbitsClient, recipe: Recipe,
              deadline: Deadline) -> model.Volume | None:
        """After a lost reply: was it made?"""
        found = client.find_volume(recipe.project, recipe.new.name,
                                   deadline=deadline)
        if found is None or found.state.going:
            return None
        if ownership.attempt_of(found.labels) == recipe.attempt:
            return found
        # A cluster that keeps no labels: the shape must do.
        if (ownership.claim_of(found.labels, self._owner, self._id(recipe))
                is Claim.UNLABELLED and _same_shape(found, recipe.new)
                and not found.acl):
            return found
        return None

    def _conflict(self, client: lb_client.LightbitsClient, recipe: Recipe,
                  conflict: lb_errors.Conflict, deadline: Deadline
                  ) -> model.Volume | None:
        """The name is taken: by whom?"""
        found = client.find_volume(recipe.project, recipe.new.name,
                                   deadline=deadline)
        if found is None or found.state.going:
            return None
        if ownership.attempt_of(found.labels) == recipe.attempt:
            return found
        if self._foreign(found, recipe):
            raise conflict
        claim = ownership.claim_of(found.labels, self._owner,
                                   self._id(recipe))
        if claim is not Claim.OURS:
            raise errors.NameTaken(
                f'a volume {found.name} ({found.uuid}) without labels is '
                f'there already; nothing tells whose it is')
        return self._inherit(client, recipe.project, recipe, found, deadline)

    def _inherit(self, client: lb_client.LightbitsClient, project: str,
                 recipe: Recipe, volume: model.Volume, deadline: Deadline,
                 recorded: str | None = None, keep: bool = True
                 ) -> model.Volume | None:
        """Take over an earlier attempt's volume, or remove it.

        The labels are changed on condition that nobody else changed the
        volume, so of two who try one wins. One that can have no labels is
        removed: nothing would keep two from taking it over.

        :param recorded: UUID of the volume that is recorded as ours.
        :param keep: whether it may be taken over.
        :returns: the volume, or None when it was removed.
        """
        if volume.state.going:
            return None
        claim = ownership.claim_of(volume.labels, self._owner,
                                   self._id(recipe))
        bare = (claim is Claim.UNLABELLED and volume.uuid == recorded
                and not volume.acl)
        if claim is not Claim.OURS and not bare:
            raise errors.NameTaken(
                f'a volume {volume.name} ({volume.uuid}) without labels is '
                f'there already; nothing tells whose it is')
        before = ownership.attempt_of(volume.labels)

        def still_theirs(now: model.Volume) -> None:
            if ownership.attempt_of(now.labels) != before:
                raise errors.RecordLost(
                    f'another attempt took over volume {now.name}')

        if (bare or not keep or volume.state is model.VolumeState.FAILED
                or not _same_shape(volume, recipe.new)):
            LOG.warning('Removing volume %s (%s) from cluster %s, left by an '
                        'earlier attempt to create it.', volume.name,
                        volume.uuid, client.name)
            remove_volume(client, project, volume, still_theirs, deadline)
            return None

        def take(now: model.Volume) -> model.VolumeChange | None:
            if ownership.attempt_of(now.labels) == recipe.attempt:
                return None
            still_theirs(now)
            return model.VolumeChange(labels=recipe.new.labels)

        LOG.info('Taking over volume %s (%s) on cluster %s of an earlier '
                 'attempt.', volume.name, volume.uuid, client.name)
        try:
            return client.update_volume(project, volume.uuid, take,
                                        deadline=deadline)
        except (lb_errors.BadRequest, lb_errors.NotFound):
            # The earlier attempt may be cleaning up right now.
            found = client.find_volume(project, volume.name,
                                       deadline=deadline)
            if (found is not None and found.uuid == volume.uuid
                    and not found.state.going):
                raise
            return None

    def _wait(self, cluster: Cluster, recipe: Recipe, volume: model.Volume,
              deadline: Deadline) -> model.Volume:
        """Wait until the volume is usable; clear up one that failed."""
        seen = volume

        def ended() -> bool | None:
            nonlocal seen
            try:
                seen = cluster.client.get_volume(
                    recipe.project, volume.uuid, deadline=deadline)
            except lb_errors.NotFound:
                return None  # Another API server may be behind.
            return _ended(seen) or None

        try:
            if not _ended(seen):
                wait_until(ended, deadline.before_last_look(),
                           f'volume {volume.name} to become Available',
                           lambda: seen.state.value, cluster.volume_pace)
        except (lb_errors.LightbitsError, DeadlineExceeded) as exc:
            raise errors.OutcomeUnknown(
                f'volume {volume.name} ({volume.uuid}) was accepted but did '
                f'not become usable: {exc}') from exc
        if not seen.state.settled:
            self._discard(cluster, recipe, seen, deadline)
            raise Refused(f'creation ended in state {seen.state.value}')
        return seen

    def _discard(self, cluster: Cluster, recipe: Recipe,
                 volume: model.Volume, deadline: Deadline) -> None:
        """Remove what this attempt has made, if the cluster lets us.

        Takes no longer than a call may: the time belongs to the create.

        :raises RecordLost: another attempt has taken it over; it was left.
        """
        def mine(now: model.Volume) -> None:
            if now.labels and (ownership.attempt_of(now.labels)
                               != recipe.attempt):
                raise errors.RecordLost(
                    f'another attempt took over volume {now.name}')

        try:
            remove_volume(
                cluster.client, recipe.project, volume, mine,
                deadline.capped(cluster.settings.client.api_timeout))
        except (lb_errors.LightbitsError, errors.OperationFailed,
                DeadlineExceeded) as exc:
            # It holds no data; the audit names it.
            LOG.warning('Volume %s (%s) on cluster %s, which is of no use, '
                        'could not be removed: %s', volume.name, volume.uuid,
                        cluster.name, exc)

    def _foreign(self, volume: model.Volume, recipe: Recipe) -> bool:
        return ownership.claim_of(
            volume.labels, self._owner, self._id(recipe)) in (
                Claim.FOREIGN, Claim.OTHER_RECORD)

    @staticmethod
    def _id(recipe: Recipe) -> str:
        return recipe.new.labels[ownership.LABEL_ID]
