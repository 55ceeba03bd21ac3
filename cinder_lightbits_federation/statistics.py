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

"""What Cinder's scheduler is told: honest, and of clusters that are open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cinder_lightbits_federation.placement import pool_figures
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.settings import PoolMode
from cinder_lightbits_federation.sizes import GIB
from cinder_lightbits_federation.views import ClusterView

FEDERATION_POOL = 'federation'

LOCATION_TAG = 'LightbitsFederation'

# The largest volume when no token may read any total.
UNKNOWN = -1

# For schedulers that have DriverFilter and GoodnessWeigher enabled; nothing
# depends on them (the driver refuses what does not fit).
DEFAULT_GOODNESS = (
    'max(0, 100 - 100 * capabilities.provisioned_capacity_gb'
    ' / max(1, capabilities.total_capacity_gb))')


def default_filter(replicas: int) -> str:
    """Refuse what no single cluster has room for, at any replica count.

    :param replicas: the count that the figures are reported at.
    """
    return (f'capabilities.lightbits_largest_volume_gb < 0 or volume.size'
            f' <= capabilities.lightbits_largest_volume_gb * {replicas}')


def location_info(views: Sequence[ClusterView], federation_id: str) -> str:
    """What another backend of this cloud needs to move a volume here."""
    uuids = ','.join(sorted(view.uuid for view in views if view.uuid))
    return f'{LOCATION_TAG}:{federation_id}:{uuids}'


def clusters_of(capabilities: Mapping[str, Any], federation_id: str
                ) -> frozenset[str]:
    """Read another backend's `location_info`.

    :returns: UUIDs of its clusters; none if it is not one of this cloud's
        federations, whose objects bear other labels.
    """
    tag, _colon, rest = str(capabilities.get('location_info') or ''
                            ).partition(':')
    owner, _colon, uuids = rest.partition(':')
    if tag != LOCATION_TAG or owner != federation_id:
        return frozenset()
    return frozenset(uuids.split(',')) - {''}


def _gib(size: int) -> float:
    return round(size / GIB, 2)


def pool(name: str, views: Sequence[ClusterView],
         settings: FederationSettings, over_subscription: str
         ) -> dict[str, Any]:
    """The figures of one pool, in GB at the default replica count.

    Total, free and provisioned are over the same clusters, those that accept
    new volumes. Without any the total is 0, which closes the pool.
    """
    figures = pool_figures(views, settings.default_replicas, settings.policy)
    down = [view for view in views if not view.accepts_volumes]
    # No token may read any total: open, but nobody can say how large.
    unknown = bool(figures.unmeasured) and not figures.total
    return {
        'pool_name': name,
        'total_capacity_gb': 'unknown' if unknown else _gib(figures.total),
        'free_capacity_gb': 'unknown' if unknown else _gib(figures.free),
        'provisioned_capacity_gb': _gib(figures.provisioned),
        'max_over_subscription_ratio': over_subscription,
        'reserved_percentage': settings.policy.reserved_percentage,
        'thin_provisioning_support': True,
        'thick_provisioning_support': False,
        'multiattach': True,
        'QoS_support': True,
        'online_extend_support': True,
        'compression': [True, False],
        'lightbits_largest_volume_gb': (
            UNKNOWN if unknown else figures.largest // GIB),
        'location_info': location_info(views, settings.federation_id),
        'lightbits_clusters_open': len(views) - len(down),
        'lightbits_clusters_closed': '; '.join(
            f'{view.name}: {view.closed_because}'
            for view in down),
    }


def pools(views: Sequence[ClusterView], settings: FederationSettings,
          over_subscription: str) -> list[dict[str, Any]]:
    """All pools, by the option ``lightbits_pools``."""
    if settings.pools is PoolMode.CLUSTER:
        return [pool(view.name, [view], settings, over_subscription)
                for view in views]
    return [pool(FEDERATION_POOL, views, settings, over_subscription)]
