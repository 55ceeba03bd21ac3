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

"""Reading the configuration into `settings`, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
import contextlib
import functools
import logging
from typing import Any
import uuid as uuidlib

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.goldenrules import DAY
from cinder_lightbits_federation.goldenrules import GoldenPolicy
from cinder_lightbits_federation import options
from cinder_lightbits_federation.room import PlacementPolicy
from cinder_lightbits_federation.sections import Backend
from cinder_lightbits_federation.sections import cluster_settings
from cinder_lightbits_federation.sections import ClusterSections
from cinder_lightbits_federation.sections import networks
from cinder_lightbits_federation.sections import option_of
from cinder_lightbits_federation.sections import uuid_of
from cinder_lightbits_federation.settings import BrokenCluster
from cinder_lightbits_federation.settings import ClusterSettings
from cinder_lightbits_federation.settings import CopySettings
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.settings import PoolMode
from cinder_lightbits_federation.sizes import MIB

LOG = logging.getLogger(__name__)

_DERIVED_IDS = uuidlib.UUID('5a0f6c9e-8f64-4a39-9b5b-7c1f2a6f4d10')


def load(backend: Backend, section: str, host: str, clustered: bool,
         files: Sequence[str], dirs: Sequence[str], *,
         empty: bool = False, served: Iterable[ClusterSettings] = ()
         ) -> FederationSettings:
    """Build the settings of one backend.

    A wrong cluster section disables that cluster and is told in `broken`;
    a wrong option of the backend section raises.

    :param section: name of the backend section.
    :param host: the service's host, from which an id is derived.
    :param clustered: whether several hosts serve this backend.
    :param files: configuration files, `dirs`: folders with more of them.
    :param empty: whether a backend without a usable cluster will do.
    :param served: the clusters as they are served; see `cluster_settings`.
    :raises InvalidSetting: an option of the backend section is wrong.
    :raises UnreadableFile: a file cannot be read.
    """
    sections = ClusterSections(files, dirs)
    good: list[ClusterSettings] = []
    broken: list[BrokenCluster] = []
    known = {item.name: item for item in served}
    for name in _members(backend, section, sections):
        try:
            good.append(cluster_settings(backend, sections, name,
                                         known.get(name)))
        except errors.InvalidSetting as exc:
            broken.append(BrokenCluster(name, exc.problem))
    if not empty:
        _check_members(section, good, broken)
    broken += _duplicates(good)
    taken = {item.name for item in broken}
    get = functools.partial(option_of, backend, section)
    return FederationSettings(
        section=section,
        federation_id=_federation_id(backend, section, host, clustered),
        clusters=tuple(item for item in good if item.name not in taken),
        broken=tuple(broken),
        project=get('lightbits_project'),
        default_replicas=get('lightbits_default_num_replicas'),
        default_compression=get('lightbits_default_compression'),
        use_ip_acl=get('lightbits_use_ip_acl'),
        data_networks=networks(section, 'lightbits_data_networks',
                               get('lightbits_data_networks')),
        connect_timeout=get('lightbits_connect_timeout'),
        operation_timeout=get('lightbits_operation_timeout'),
        poll_interval=get('lightbits_poll_interval'),
        pools=PoolMode(get('lightbits_pools')),
        policy=_policy(backend, section),
        copies=_copies(backend, section),
        golden=_golden(backend, section),
        files=_named(backend, section, sections, [
            *(item.name for item in good), *taken]))


def _named(backend: Backend, section: str, sections: ClusterSections,
           names: Iterable[str]) -> tuple[str, ...]:
    """:returns: the files that the settings of clusters depend on.

    Those of tokens are read anew with each token and are not among them,
    nor those of options that cannot be read, of which `broken` tells.
    """
    reads: list[Callable[[], Any]] = [
        functools.partial(sections.get, name, option) for name in names
        for option in ('tls_ca_file', 'private_key_file')]
    reads.append(functools.partial(
        option_of, backend, section, 'driver_ssl_cert_path'))
    found = set()
    for read in reads:
        with contextlib.suppress(errors.InvalidSetting):
            found.add(read())
    return tuple(sorted(path for path in found if path))


def _members(backend: Backend, section: str, sections: ClusterSections
             ) -> list[str]:
    # From the files as they are now: Cinder reads its own only at the start.
    listed = sections.listed(section)
    if listed is None:
        listed = option_of(backend, section, 'lightbits_clusters')
    existing = sections.names()
    if listed is None:
        return [name for name in existing
                if _belongs(sections, name, section)]
    for name in listed:
        if name not in existing:
            raise errors.InvalidSetting(
                section, 'lightbits_clusters',
                f'there is no section [{options.CLUSTER_PREFIX}{name}]')
    repeated = {name for name in listed if listed.count(name) > 1}
    if repeated:
        raise errors.InvalidSetting(
            section, 'lightbits_clusters',
            f'named twice: {", ".join(sorted(repeated))}')
    return list(listed)


def _belongs(sections: ClusterSections, name: str, section: str) -> bool:
    try:
        backends = sections.get(name, 'backends')
    except errors.InvalidSetting:
        # It may, and is then told of as broken.
        return True
    return not backends or section in backends


def _check_members(section: str, good: Sequence[ClusterSettings],
                   broken: Sequence[BrokenCluster]) -> None:
    if good:
        return
    told = '; '.join(str(item.problem) for item in broken) or (
        f'no section [{options.CLUSTER_PREFIX}NAME] belongs to it')
    raise errors.InvalidSetting(section, 'lightbits_clusters',
                                f'no usable cluster: {told}')


def _duplicates(clusters: Iterable[ClusterSettings]) -> list[BrokenCluster]:
    """Sections that are certainly the same cluster as an earlier one."""
    seen: dict[str, str] = {}
    found = []
    for item in clusters:
        uuid = item.client.expected_uuid
        keys = {('cluster_uuid', uuid)} if uuid else set()
        keys |= {('api_endpoints', str(seed)) for seed in item.client.seeds}
        for option, key in sorted(keys):
            first = seen.setdefault(key, item.section)
            if first != item.section:
                found.append(BrokenCluster(item.name, errors.SettingProblem(
                    item.section, option,
                    f'{key} is in section [{first}] already; one cluster '
                    f'must have one name')))
                break
    return found


def _federation_id(backend: Backend, section: str, host: str,
                   clustered: bool) -> str:
    option = 'lightbits_federation_id'
    given = uuid_of(section, option, option_of(backend, section, option))
    if given:
        return given
    if clustered:
        raise errors.InvalidSetting(
            section, option, 'must be set when the service is clustered: '
            'choose one UUID for the whole cloud (uuidgen)')
    derived = str(uuidlib.uuid5(_DERIVED_IDS, host))
    LOG.warning('[%s] %s is not set: %s was derived from the host name %s '
                'and changes with it. Set it once, to that value.', section,
                option, derived, host)
    return derived


def _copies(backend: Backend, section: str) -> CopySettings:
    get = functools.partial(option_of, backend, section)
    return CopySettings(
        rate=get('lightbits_copy_rate') * MIB,
        jobs=get('lightbits_copy_jobs_per_cluster'),
        verify=get('lightbits_copy_verify'),
        clones=get('lightbits_cross_cluster_clones'),
        retypes=get('lightbits_retype_by_copy'))


def _policy(backend: Backend, section: str) -> PlacementPolicy:
    # "auto" is for the scheduler, which works it out from what is reported.
    ratio = option_of(backend, section, 'max_over_subscription_ratio')
    reserved = option_of(backend, section, 'reserved_percentage')
    share = option_of(backend, section, 'lightbits_max_create_share')
    try:
        return PlacementPolicy(
            max_over_subscription=(
                PlacementPolicy().max_over_subscription
                if ratio in (None, 'auto') else float(ratio)),
            reserved_percentage=reserved or 0,
            max_create_share=share / 100)
    except ValueError as exc:
        raise errors.InvalidSetting(
            section, 'max_over_subscription_ratio or reserved_percentage',
            str(exc)) from exc


def _golden(backend: Backend, section: str) -> GoldenPolicy:
    def option(name: str) -> Any:
        return option_of(backend, section, f'lightbits_golden_image{name}')

    return GoldenPolicy(option('s'), option('_limit'),
                        option('_max_idle') * DAY, option('_patience'),
                        option('_copies'))
