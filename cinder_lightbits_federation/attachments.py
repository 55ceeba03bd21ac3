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

"""Which hosts may use a volume: admitting them and taking it back."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import logging

from cinder_lightbits_federation import access
from cinder_lightbits_federation.access import HostAccess
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.editor import Editor
from cinder_lightbits_federation.editor import Hook
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation.timing import Deadline

LOG = logging.getLogger(__name__)

# After these a host that was to be admitted has certainly not been.
NOT_ADMITTED = (
    access.AccessError, errors.ClusterUnavailable, errors.IdentityMismatch,
    errors.ObjectMissing, errors.UnknownCluster, lb_errors.InvalidReply,
    lb_errors.NotSent, lb_errors.Rejected)


@dataclasses.dataclass(frozen=True, slots=True)
class Attachment:
    """What a host needs to reach a volume."""

    volume_uuid: str
    info: model.ClusterInfo
    cluster: str


class Attachments:
    """Use cases of access."""

    def __init__(self, editor: Editor, registry: Registry) -> None:
        self._editor = editor
        self._registry = registry

    def attach(self, ref: VolumeRef, host: HostAccess,
               attached: Sequence[HostAccess], deadline: Deadline
               ) -> Attachment:
        """Admit a host to a volume. Idempotent.

        :param attached: the hosts that attachments exist for.
        :raises AddressLimitExceeded: the IP ACL would grow past its limit.
        :raises NoUsableAddress: none of the host's addresses is selected.
        :raises OutcomeUnknown: the host was admitted, and where the volume
            is could not be found out. Other errors that are not among
            `NOT_ADMITTED` leave it open whether the host was admitted.
        """
        def admit(_cluster: Cluster, now: model.Volume
                  ) -> model.VolumeChange | None:
            return access.grant(now, host, attached,
                                self._registry.settings.use_ip_acl)

        cluster, volume = self._editor.change(ref, admit, deadline)
        if volume.protection in (model.ProtectionState.READ_ONLY,
                                 model.ProtectionState.NOT_AVAILABLE):
            LOG.warning('Volume %s on cluster %s is %s.', volume.name,
                        cluster.name, volume.protection.value)
        return Attachment(volume.uuid, self._info(cluster, deadline),
                          cluster.name)

    def detach(self, ref: VolumeRef, host: HostAccess,
               remaining: Sequence[HostAccess], deadline: Deadline) -> None:
        """Take a host's access away. Idempotent.

        A volume that is proven gone has no access to take away. Where the
        host has none, what is there is written once more: a service that
        was about to admit the host and stands still, or has died with its
        request on the way, then has an ETag that the cluster refuses.

        :param remaining: the hosts whose attachments stay.
        """
        fenced: str | None = None

        def expel(_cluster: Cluster, now: model.Volume
                  ) -> model.VolumeChange | None:
            nonlocal fenced
            change = access.revoke(now, host, remaining,
                                   self._registry.settings.use_ip_acl)
            if change is not None or not access.absent(now, host):
                fenced = ''
            elif fenced is None and now.state.settled:
                fenced = now.etag
            if change is None and fenced == now.etag:
                return model.VolumeChange(acl=now.acl, ip_acl=now.ip_acl)
            return change

        self._expel(ref, expel, deadline)

    def detach_all(self, ref: VolumeRef, deadline: Deadline) -> None:
        """Take every host's access away. Idempotent."""
        def expel(cluster: Cluster, now: model.Volume
                  ) -> model.VolumeChange | None:
            change = access.revoke_all(now)
            if change is not None:
                LOG.warning('Removing the access of %s to volume %s on '
                            'cluster %s.',
                            ', '.join(sorted(now.acl)) or 'nobody', ref.name,
                            cluster.name)
            return change

        self._expel(ref, expel, deadline)

    def _expel(self, ref: VolumeRef, hook: Hook, deadline: Deadline) -> None:
        try:
            self._editor.change(ref, hook, deadline)
        except (errors.ObjectMissing, lb_errors.NotFound) as exc:
            LOG.warning('No access to remove from volume %s on cluster %s: '
                        '%s', ref.name, ref.cluster_uuid, exc)

    def _info(self, cluster: Cluster, deadline: Deadline
              ) -> model.ClusterInfo:
        if cluster.vitals is not None:
            return cluster.vitals.info
        project = cluster.settings.project(self._registry.settings.project)
        try:
            with cluster.api(deadline) as client:
                return client.cluster_info(project, deadline=deadline)
        except lb_errors.LightbitsError as exc:
            raise errors.OutcomeUnknown(
                f'the host has access, but the endpoints of cluster '
                f'{cluster.name} are not known: {exc}') from exc
