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

"""Changing a volume where it is, after proving that it is the right one."""

from __future__ import annotations

from collections.abc import Callable

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.finder import check_volume
from cinder_lightbits_federation.finder import Finder
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.timing import Deadline

Hook = Callable[[Cluster, model.Volume], model.VolumeChange | None]


class Editor:
    """Edits volumes by compare-and-swap."""

    def __init__(self, finder: Finder, owner: ownership.Owner) -> None:
        self._finder = finder
        self._owner = owner

    def change(self, ref: VolumeRef, hook: Hook, deadline: Deadline
               ) -> tuple[Cluster, model.Volume]:
        """Bring a volume to what `hook` wants; see `update_volume`.

        :param hook: idempotent; returns what is missing, or None.
        :returns: the cluster, and the volume as it is now.
        :raises ObjectMissing: it is proven not to exist.
        :raises IdentityMismatch: what is at the recorded place is not ours.
        """
        def checked(cluster: Cluster, now: model.Volume
                    ) -> model.VolumeChange | None:
            check_volume(ref, self._owner, now)
            return hook(cluster, now)

        return self.change_unproven(ref, checked, deadline)

    def change_unproven(self, ref: VolumeRef, hook: Hook, deadline: Deadline
                        ) -> tuple[Cluster, model.Volume]:
        """As `change`, but `hook` judges what is at the recorded place.

        A complete record saves the look-up: the edit reads the volume
        anyway.
        """
        place = ref.location
        if place is not None and place.object_uuid is not None:
            cluster, project = self._finder.place(place), place.project
            uuid = place.object_uuid
        else:
            found = self._finder.volume(ref, deadline)
            cluster, project = found.cluster, found.project
            uuid = found.thing.uuid
        try:
            with cluster.api(deadline) as client:
                return cluster, client.update_volume(
                    project, uuid, lambda now: hook(cluster, now),
                    deadline=deadline)
        except lb_errors.NotFound as exc:
            raise errors.ObjectMissing(str(exc)) from exc
