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

"""The options of the in-tree LightOS driver, and what they are called here.

Read from the files themselves: that driver need not be installed, and its
section need not be among the enabled backends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
import dataclasses
from typing import Any

from oslo_config import cfg

from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.options import CLUSTER_PREFIX

DRIVER = 'cinder.volume.drivers.lightos.LightOSVolumeDriver'
TOKENS = '/etc/cinder/lightbits'
LONGEST_TIMEOUT = 600
SHORTEST_TIMEOUT = 1

OPTIONS = (
    cfg.StrOpt('volume_driver'), cfg.StrOpt('volume_backend_name'),
    cfg.ListOpt('lightos_api_address', default=[]),
    cfg.PortOpt('lightos_api_port', default=443),
    cfg.StrOpt('lightos_jwt', secret=True),
    cfg.IntOpt('lightos_default_num_replicas', default=3),
    cfg.BoolOpt('lightos_default_compression_enabled', default=False),
    cfg.IntOpt('lightos_api_service_timeout', default=30),
    cfg.BoolOpt('lightos_use_ipacl', default=True),
    cfg.IntOpt('lightos_api_service_snapshots_max_calls', default=5),
    cfg.BoolOpt('driver_ssl_cert_verify', default=False),
    cfg.StrOpt('driver_ssl_cert_path'),
    cfg.IntOpt('reserved_percentage'), cfg.StrOpt('backend_host'),
)

# Options of the backend's section here; the clusters share them.
SHARED = {
    'lightos_default_num_replicas': 'lightbits_default_num_replicas',
    'lightos_default_compression_enabled': 'lightbits_default_compression',
    'lightos_use_ipacl': 'lightbits_use_ip_acl'}
# Options of the cluster's section.
OWN = {'lightos_api_address': 'api_endpoints',
       'lightos_api_port': 'api_endpoints', 'lightos_jwt': 'jwt_file'}
TIMEOUTS = {'lightos_api_service_timeout': 'lightbits_api_timeout'}
# What nothing corresponds to, and why.
NONE = {'lightos_api_service_snapshots_max_calls':
        'the driver waits for the cluster until '
        'lightbits_operation_timeout is over'}


@dataclasses.dataclass(frozen=True, slots=True)
class InTree:
    """The section of a backend of the in-tree driver."""

    section: str
    cluster: str
    values: Mapping[str, Any]

    @property
    def endpoints(self) -> list[endpoints.Endpoint]:
        """Its API endpoints."""
        port = self.values['lightos_api_port']
        return [endpoints.Endpoint(str(address), port)
                for address in self.values['lightos_api_address']]


def read(section: str, cluster: str, files: Sequence[str],
         dirs: Sequence[str]) -> InTree | None:
    """:returns: None if there is no such section.

    :raises UsageError: an option in it is wrong.
    """
    conf = cfg.ConfigOpts()
    conf(args=[], default_config_files=list(files),
         default_config_dirs=list(dirs))
    if section not in conf.list_all_sections():
        return None
    conf.register_opts(OPTIONS, group=section)
    try:
        values = {item.name: conf[section][item.name] for item in OPTIONS}
    except (cfg.ConfigFileValueError, ValueError) as exc:
        raise UsageError(f'[{section}]: {exc}') from exc
    return InTree(section, cluster, values)


def translated(backends: Sequence[InTree], target: str,
               fingerprints: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """:returns: lines of configuration that mean the same here.

    :param target: section of the backend that takes over.
    :param fingerprints: what the clusters of some sections present now.
    """
    yield f'[{target}]'
    for old, new in SHARED.items():
        yield from _shared(backends, old, new)
    slowest = max(item.values['lightos_api_service_timeout']
                  for item in backends)
    yield f'# {_by(backends, "lightos_api_service_timeout")}'
    yield (f'lightbits_api_timeout = '
           f'{min(max(slowest, SHORTEST_TIMEOUT), LONGEST_TIMEOUT)}')
    reserved = [item.values['reserved_percentage'] for item in backends
                if item.values['reserved_percentage'] is not None]
    if reserved:
        yield f'reserved_percentage = {max(reserved)}'
    for old, why in NONE.items():
        yield f'# {old}: not needed, {why}'
    for item in backends:
        yield ''
        yield from _cluster(item, fingerprints.get(item.section, ()))


def _shared(backends: Sequence[InTree], old: str, new: str
            ) -> Iterator[str]:
    values = {item.section: item.values[old] for item in backends}
    yield f'# {_by(backends, old)}'
    if len(set(values.values())) > 1:
        yield ('# They differ: choose one, and let extra specs of the types '
               'say the other.')
    yield f'{new} = {_text(next(iter(values.values())))}'


def _by(backends: Iterable[InTree], option: str) -> str:
    return f'{option}: ' + ', '.join(
        f'{_text(item.values[option])} in [{item.section}]'
        for item in backends)


def _cluster(item: InTree, fingerprints: Sequence[str]) -> Iterator[str]:
    yield f'[{CLUSTER_PREFIX}{item.cluster}]'
    yield (f'# lightos_api_address and lightos_api_port of '
           f'[{item.section}]')
    yield f'api_endpoints = {", ".join(map(str, item.endpoints))}'
    if item.values['lightos_jwt']:
        path = f'{TOKENS}/{item.cluster}.jwt'
        yield (f'# Put the value of lightos_jwt of [{item.section}] into '
               f'this file, mode 0640.')
        yield f'jwt_file = {path}'
    else:
        yield f'# No lightos_jwt in [{item.section}]: no token is sent.'
    if item.values['driver_ssl_cert_verify']:
        if item.values['driver_ssl_cert_path']:
            yield f'tls_ca_file = {item.values["driver_ssl_cert_path"]}'
        return
    yield ('# The certificate was not verified until now. Compare by another '
           'way what the')
    yield '# cluster presents:'
    yield ('tls_fingerprints = '
           + (', '.join(fingerprints) or '(could not be asked)'))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
