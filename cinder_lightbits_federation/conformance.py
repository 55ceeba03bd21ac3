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

"""Whether a volume is what a type asks for, and what can be adjusted."""

from __future__ import annotations

from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.spec import CLUSTER
from cinder_lightbits_federation.spec import is_uuid
from cinder_lightbits_federation.spec import NUM_REPLICAS
from cinder_lightbits_federation.spec import PROJECT_NAME
from cinder_lightbits_federation.spec import QOS_POLICY
from cinder_lightbits_federation.spec import SECTOR_SIZE
from cinder_lightbits_federation.spec import VolumeSpec

_SECTORS = {model.SectorSize.B512: 512, model.SectorSize.B4096: 4096}


def misfit(volume: model.Volume, cluster_uuid: str, cluster_name: str,
           same_project: bool, spec: VolumeSpec, default_replicas: int
           ) -> str | None:
    """What of a type a volume cannot get where it is.

    :param same_project: whether it is in the project the type asks for.
    :param default_replicas: the replica count of a type that sets none.
    :returns: the extra spec and why, None when all fits or can be adjusted.
    """
    replicas = spec.replica_count(default_replicas)
    if volume.replicas != replicas:
        return (f'{NUM_REPLICAS}: it has {volume.replicas} replicas, '
                f'not {replicas}')
    if not same_project:
        return f'{PROJECT_NAME}: it is in project {volume.project}'
    if not spec.clusters.admits(cluster_uuid, cluster_name):
        return f'{CLUSTER}: it is on cluster {cluster_name}'
    sector = _SECTORS.get(spec.sector_size) if spec.sector_size else None
    if sector is not None and sector != volume.sector_size:
        return f'{SECTOR_SIZE}: its sectors have {volume.sector_size} bytes'
    if spec.domains():
        return 'its failure domains cannot be told'
    if spec.qos_policy is None and _limited(volume):
        return (f'{QOS_POLICY}: its policy {volume.qos_policy_name} cannot '
                f'be taken off, only replaced')
    return None


def _limited(volume: model.Volume) -> bool:
    """Whether a policy was chosen for it, beyond what every volume has.

    A new volume gets the project's or the cluster's default policy, which
    the array names ``no-limit-policy`` from installation.
    """
    return bool(volume.qos_policy_name
                and volume.qos_policy_name != 'no-limit-policy')


def adjustment(volume: model.Volume, spec: VolumeSpec,
               default_compression: bool) -> model.VolumeChange | None:
    """What to change in place so that a volume is what a type asks for.

    :returns: None when nothing is missing.
    """
    wanted = (default_compression if spec.compression is None
              else spec.compression)
    compression = wanted if wanted != volume.compression else None
    policy = spec.qos_policy
    if policy in (None, volume.qos_policy_uuid, volume.qos_policy_name):
        policy = None
    if compression is None and policy is None:
        return None
    named = policy is not None and not is_uuid(policy)
    return model.VolumeChange(
        compression=compression,
        qos_policy_uuid=None if named else policy,
        qos_policy_name=policy if named else None)
