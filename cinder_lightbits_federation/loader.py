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

"""Reading the configuration into `settings`, once.

Sections of clusters are found with a configuration object of their own over
the same files as Cinder's: their names are not known beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import hashlib
import ipaddress
import logging
from typing import Any, Protocol
import uuid as uuidlib

from oslo_config import cfg

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.goldenrules import DAY
from cinder_lightbits_federation.goldenrules import GoldenPolicy
from cinder_lightbits_federation.lightbits import config as lb_config
from cinder_lightbits_federation.lightbits import endpoints as lb_endpoints
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import tls as lb_tls
from cinder_lightbits_federation.lightbits import tokens as lb_tokens
from cinder_lightbits_federation import options
from cinder_lightbits_federation.room import PlacementPolicy
from cinder_lightbits_federation.settings import BrokenCluster
from cinder_lightbits_federation.settings import ClusterSettings
from cinder_lightbits_federation.settings import CopySettings
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.settings import Network
from cinder_lightbits_federation.settings import PoolMode
from cinder_lightbits_federation.sizes import MIB
from cinder_lightbits_federation.views import AdminState

LOG = logging.getLogger(__name__)

TOKEN_OPTIONS = ('jwt', 'jwt_file', 'credential_id', 'private_key_file',
                 'token_scope')

_DERIVED_IDS = uuidlib.UUID('5a0f6c9e-8f64-4a39-9b5b-7c1f2a6f4d10')


class Backend(Protocol):
    """Cinder's configuration of one backend section."""

    def safe_get(self, value: str) -> Any:
        """:returns: an option's value, None when there is no such option."""


def load(backend: Backend, section: str, host: str, clustered: bool,
         files: Sequence[str], dirs: Sequence[str], *,
         empty: bool = False) -> FederationSettings:
    """Build the settings of one backend.

    A wrong cluster section disables that cluster and is told in `broken`;
    a wrong option of the backend section raises.

    :param section: name of the backend section.
    :param host: the service's host, from which an id is derived.
    :param clustered: whether several hosts serve this backend.
    :param files: configuration files, `dirs`: folders with more of them.
    :param empty: whether a backend without a usable cluster will do.
    :raises InvalidSetting: an option of the backend section is wrong.
    """
    sections = ClusterSections(files, dirs)
    good: list[ClusterSettings] = []
    broken: list[BrokenCluster] = []
    for name in _members(backend, section, sections):
        try:
            good.append(cluster_settings(backend, sections, name))
        except errors.InvalidSetting as exc:
            broken.append(BrokenCluster(name, exc.problem))
    if not empty:
        _check_members(section, good, broken)
    broken += _duplicates(good)
    taken = {item.name for item in broken}
    return FederationSettings(
        section=section,
        federation_id=_federation_id(backend, section, host, clustered),
        clusters=tuple(item for item in good if item.name not in taken),
        broken=tuple(broken),
        project=_get(backend, section, 'lightbits_project'),
        default_replicas=_get(backend, section,
                              'lightbits_default_num_replicas'),
        default_compression=_get(backend, section,
                                 'lightbits_default_compression'),
        use_ip_acl=_get(backend, section, 'lightbits_use_ip_acl'),
        data_networks=_networks(
            section, 'lightbits_data_networks',
            _get(backend, section, 'lightbits_data_networks')),
        connect_timeout=_get(backend, section, 'lightbits_connect_timeout'),
        operation_timeout=_get(backend, section,
                               'lightbits_operation_timeout'),
        poll_interval=_get(backend, section, 'lightbits_poll_interval'),
        pools=PoolMode(_get(backend, section, 'lightbits_pools')),
        policy=_policy(backend, section),
        copies=_copies(backend, section),
        golden=_golden(backend, section))


class ClusterSections:
    """The ``[lightbits_cluster:*]`` sections of some files."""

    def __init__(self, files: Sequence[str], dirs: Sequence[str]) -> None:
        self._conf = cfg.ConfigOpts()
        self._conf(args=[], default_config_files=list(files),
                   default_config_dirs=list(dirs))

    def names(self) -> list[str]:
        """:returns: names of all clusters that have a section."""
        prefix = options.CLUSTER_PREFIX
        return [section.removeprefix(prefix)
                for section in self._conf.list_all_sections()
                if section.startswith(prefix)]

    def listed(self, section: str) -> list[str] | None:
        """:returns: ``lightbits_clusters`` of a backend section, if set."""
        self._conf.register_opts(options.backend_opts, group=section)
        found: list[str] | None = _value(
            section, 'lightbits_clusters',
            lambda: self._conf[section]['lightbits_clusters'])
        return found

    def get(self, name: str, option: str) -> Any:
        """Read an option of a cluster.

        :raises InvalidSetting: its value is not of the option's type.
        """
        section = options.CLUSTER_PREFIX + name
        self._conf.register_opts(options.cluster_opts, group=section)
        return _value(section, option,
                      lambda: self._conf[section][option])


def _value(section: str, option: str, read: Any) -> Any:
    try:
        return read()
    except (cfg.ConfigFileValueError, cfg.TemplateSubstitutionError,
            ValueError) as exc:
        raise errors.InvalidSetting(section, option, str(exc)) from exc


def _get(backend: Backend, section: str, option: str) -> Any:
    return _value(section, option, lambda: backend.safe_get(option))


def _members(backend: Backend, section: str, sections: ClusterSections
             ) -> list[str]:
    # From the files as they are now: Cinder reads its own only at the start.
    listed = sections.listed(section)
    if listed is None:
        listed = _get(backend, section, 'lightbits_clusters')
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
    backends = sections.get(name, 'backends')
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


def cluster_settings(backend: Backend, sections: ClusterSections, name: str
                     ) -> ClusterSettings:
    """Build the settings of one cluster.

    :raises InvalidSetting: an option of its section is wrong.
    """
    section = options.CLUSTER_PREFIX + name
    option = {item.name: sections.get(name, item.name)
              for item in options.cluster_opts}
    if option['admin_state'] == 'lost' and not option['cluster_uuid']:
        raise errors.InvalidSetting(
            section, 'cluster_uuid', 'must be set to declare the cluster '
            'lost (admin_state): what is only there counts as gone then')
    trust, trust_option = _trust(backend, section, option)
    tokens, token_option = _tokens(section, option)
    return ClusterSettings(
        name=name, section=section,
        client=lb_config.ClientConfig(
            name=name, seeds=_seeds(section, option['api_endpoints']),
            tls=trust,
            expected_uuid=_uuid(section, 'cluster_uuid',
                                option['cluster_uuid']),
            connect_timeout=backend.safe_get('lightbits_connect_timeout'),
            api_timeout=backend.safe_get('lightbits_api_timeout'),
            learn_endpoints=option['learn_endpoints'],
            endpoint_networks=_networks(section, 'endpoint_networks',
                                        option['endpoint_networks'])),
        tokens=tokens, admin_state=AdminState(option['admin_state']),
        project_map=dict(option['project_map']),
        token_option=token_option, trust_option=trust_option,
        token_scope=(lb_tokens.TokenScope(option['token_scope'])
                     if isinstance(tokens, lb_tokens.MintedToken) else None),
        credential_lifetime=option['credential_lifetime'],
        signature=_signature(option),
        token_signature=_signature({key: option[key]
                                    for key in TOKEN_OPTIONS}))


def _signature(option: Mapping[str, Any]) -> str:
    """A digest: secrets must not be kept just to be compared."""
    text = repr(sorted((key, str(value)) for key, value in option.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _seeds(section: str, values: Sequence[str]
           ) -> tuple[lb_endpoints.Endpoint, ...]:
    if not values:
        raise errors.InvalidSetting(section, 'api_endpoints',
                                    'at least one host:port is needed')
    return tuple(
        _value(section, 'api_endpoints',
               lambda text=text: lb_endpoints.Endpoint.parse(text))
        for text in values)


def _uuid(section: str, option: str, text: str | None) -> str | None:
    if not text:
        return None
    try:
        return str(uuidlib.UUID(text.strip()))
    except ValueError:
        raise errors.InvalidSetting(section, option,
                                    f'not a UUID: {text!r}') from None


def _networks(section: str, option: str, values: Sequence[str]
              ) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text.strip()) for text in values)
    except ValueError as exc:
        raise errors.InvalidSetting(section, option, str(exc)) from exc


def _trust(backend: Backend, section: str, option: Mapping[str, Any]
           ) -> tuple[lb_tls.TlsTrust, str]:
    """Whom to trust, and the option that says so."""
    inherited = backend.safe_get('driver_ssl_cert_path')
    if option['tls_insecure']:
        if backend.safe_get('driver_ssl_cert_verify'):
            raise errors.InvalidSetting(
                section, 'tls_insecure',
                'contradicts driver_ssl_cert_verify of the backend')
        LOG.warning('[%s] tls_insecure is set: whoever is between this host '
                    'and the cluster can read and change everything.',
                    section)
        inherited = None
    used = next((key for key in ('tls_insecure', 'tls_fingerprints',
                                 'tls_ca_file') if option[key]), None)
    if used is None and option['tls_server_name']:
        used = 'tls_server_name'
    ca_file = option['tls_ca_file']
    if not ca_file and not option['tls_fingerprints']:
        ca_file = inherited
        used = used or ('driver_ssl_cert_path' if inherited else None)
    used = used or 'tls_ca_file'
    try:
        trust = lb_tls.TlsTrust(
            ca_file=ca_file, server_name=option['tls_server_name'],
            fingerprints=tuple(option['tls_fingerprints']),
            insecure=option['tls_insecure'])
        trust.validate()
    except (ValueError, lb_errors.Untrusted) as exc:
        raise errors.InvalidSetting(section, used, str(exc)) from exc
    return trust, used


def _tokens(section: str, option: Mapping[str, Any]
            ) -> tuple[lb_tokens.TokenSource, str]:
    """The source of tokens, and the option that names it."""
    given = [key for key in ('jwt', 'jwt_file', 'private_key_file')
             if option[key]]
    if len(given) > 1:
        raise errors.InvalidSetting(
            section, given[1], f'excludes {given[0]}; choose one')
    if bool(option['credential_id']) != bool(option['private_key_file']):
        missing = ('private_key_file' if option['credential_id']
                   else 'credential_id')
        raise errors.InvalidSetting(
            section, missing,
            'is needed: credential_id and private_key_file go together')
    if not given:
        return lb_tokens.NoToken(), 'jwt_file'
    return _token_source(section, given[0], option), given[0]


def _token_source(section: str, used: str, option: Mapping[str, Any]
                  ) -> lb_tokens.TokenSource:
    try:
        if used == 'jwt':
            return lb_tokens.StaticToken(option['jwt'])
        if used == 'jwt_file':
            return lb_tokens.FileToken(option['jwt_file'])
        return lb_tokens.MintedToken(
            option['private_key_file'], option['credential_id'],
            lb_tokens.TokenScope(option['token_scope']))
    except lb_errors.NoCredential as exc:
        raise errors.InvalidSetting(section, used, str(exc)) from exc


def _federation_id(backend: Backend, section: str, host: str,
                   clustered: bool) -> str:
    option = 'lightbits_federation_id'
    given = _uuid(section, option, _get(backend, section, option))
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
    return CopySettings(
        rate=_get(backend, section, 'lightbits_copy_rate') * MIB,
        jobs=_get(backend, section, 'lightbits_copy_jobs_per_cluster'),
        verify=_get(backend, section, 'lightbits_copy_verify'),
        clones=_get(backend, section, 'lightbits_cross_cluster_clones'),
        retypes=_get(backend, section, 'lightbits_retype_by_copy'))


def _policy(backend: Backend, section: str) -> PlacementPolicy:
    # "auto" is for the scheduler, which works it out from what is reported.
    ratio = backend.safe_get('max_over_subscription_ratio')
    limit = (PlacementPolicy().max_over_subscription
             if ratio in (None, 'auto') else float(ratio))
    share = _get(backend, section, 'lightbits_max_create_share')
    try:
        return PlacementPolicy(
            max_over_subscription=limit,
            reserved_percentage=backend.safe_get('reserved_percentage') or 0,
            max_create_share=share / 100)
    except ValueError as exc:
        raise errors.InvalidSetting(
            section, 'max_over_subscription_ratio or reserved_percentage',
            str(exc)) from exc


def _golden(backend: Backend, section: str) -> GoldenPolicy:
    def option(name: str) -> Any:
        return _get(backend, section, f'lightbits_golden_image{name}')

    return GoldenPolicy(option('s'), option('_limit'),
                        option('_max_idle') * DAY, option('_patience'),
                        option('_copies'))
