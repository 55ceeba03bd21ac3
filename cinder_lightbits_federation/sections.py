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

"""Reading the section of one cluster.

Sections of clusters are found with a configuration object of their own over
the same files as Cinder's: their names are not known beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import hashlib
import ipaddress
import logging
import pathlib
from typing import Any, Protocol
import uuid as uuidlib

from oslo_config import cfg

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.lightbits import config as lb_config
from cinder_lightbits_federation.lightbits import endpoints as lb_endpoints
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import tls as lb_tls
from cinder_lightbits_federation.lightbits import tokens as lb_tokens
from cinder_lightbits_federation import options
from cinder_lightbits_federation.settings import ClusterSettings
from cinder_lightbits_federation.settings import Network
from cinder_lightbits_federation.views import AdminState

LOG = logging.getLogger(__name__)

TOKEN_OPTIONS = ('jwt', 'jwt_file', 'credential_id', 'private_key_file',
                 'token_scope')


class Backend(Protocol):
    """Cinder's configuration of one backend section."""

    def safe_get(self, value: str) -> Any:
        """:returns: an option's value, None when there is no such option."""


class ClusterSections:
    """The ``[lightbits_cluster:*]`` sections of some files.

    :raises UnreadableFile: one of them cannot be read.
    """

    def __init__(self, files: Sequence[str], dirs: Sequence[str]) -> None:
        self._conf = cfg.ConfigOpts()
        try:
            self._conf(args=[], default_config_files=list(files),
                       default_config_dirs=list(dirs))
        except cfg.ConfigFileParseError as exc:
            raise _unparsed(exc) from None
        except (cfg.Error, OSError, UnicodeError) as exc:
            raise errors.UnreadableFile(
                f'the configuration files cannot be read: {exc}') from exc

    def names(self) -> list[str]:
        """:returns: names of all clusters that have a section."""
        prefix = options.CLUSTER_PREFIX
        return [section.removeprefix(prefix)
                for section in self._conf.list_all_sections()
                if section.startswith(prefix)]

    def listed(self, section: str) -> list[str] | None:
        """:returns: ``lightbits_clusters`` of a backend section, if set."""
        self._conf.register_opts(options.backend_opts, group=section)
        found: list[str] | None = value_of(
            section, 'lightbits_clusters',
            lambda: self._conf[section]['lightbits_clusters'])
        return found

    def get(self, name: str, option: str) -> Any:
        """Read an option of a cluster.

        :raises InvalidSetting: its value is not of the option's type, or
            refers to what is no option.
        """
        section = options.CLUSTER_PREFIX + name
        self._conf.register_opts(options.cluster_opts, group=section)
        return value_of(section, option,
                        lambda: self._conf[section][option])


def _unparsed(exc: cfg.ConfigFileParseError) -> errors.UnreadableFile:
    """Say where, but not what is written there: it may be a secret."""
    # Only what it was made of knows the line's number by itself.
    line = getattr(exc.__context__, 'lineno', None)
    return errors.UnreadableFile(
        f'{exc.config_file} cannot be read'
        + (f': line {line} is neither a section nor an option' if line
           else ''))


def value_of(section: str, option: str, read: Any) -> Any:
    """Read an option.

    :raises InvalidSetting: what is read is not of the option's type, or
        refers to what is no option.
    """
    try:
        return read()
    except ValueError as exc:
        raise errors.InvalidSetting(section, option, str(exc)) from exc
    except cfg.Error:
        # What it refers to is a part of the value, which may be a secret.
        raise errors.InvalidSetting(
            section, option, 'a $ in it is followed by the name of no '
            'option; write $$ for a $') from None


def option_of(backend: Backend, section: str, option: str) -> Any:
    """Read an option of a backend.

    :raises InvalidSetting: its value is not of the option's type, or refers
        to what is no option.
    """
    return value_of(section, option, lambda: backend.safe_get(option))


def cluster_settings(backend: Backend, sections: ClusterSections, name: str,
                     served: ClusterSettings | None = None
                     ) -> ClusterSettings:
    """Build the settings of one cluster.

    :param served: those that it is served with, if it is. While the file of
        authorities of a section that has not changed cannot be read, as in
        the moment when it is replaced, what was read before is trusted on.
    :raises InvalidSetting: an option of its section is wrong.
    """
    section = options.CLUSTER_PREFIX + name
    option = {item.name: sections.get(name, item.name)
              for item in options.cluster_opts}
    if option['admin_state'] == 'lost' and not option['cluster_uuid']:
        raise errors.InvalidSetting(
            section, 'cluster_uuid', 'must be set to declare the cluster '
            'lost (admin_state): what is only there counts as gone then')
    trust, trust_option = _trust(backend, section, option, served)
    tokens, token_option = _tokens(section, option)
    return ClusterSettings(
        name=name, section=section,
        client=lb_config.ClientConfig(
            name=name, seeds=_seeds(section, option['api_endpoints']),
            tls=trust,
            expected_uuid=uuid_of(section, 'cluster_uuid',
                                option['cluster_uuid']),
            connect_timeout=backend.safe_get('lightbits_connect_timeout'),
            api_timeout=backend.safe_get('lightbits_api_timeout'),
            learn_endpoints=option['learn_endpoints'],
            endpoint_networks=networks(section, 'endpoint_networks',
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
        value_of(section, 'api_endpoints',
               lambda text=text: lb_endpoints.Endpoint.parse(text))
        for text in values)


def uuid_of(section: str, option: str, text: str | None) -> str | None:
    """:raises InvalidSetting: it is not a UUID."""
    if not text:
        return None
    try:
        return str(uuidlib.UUID(text.strip()))
    except ValueError:
        raise errors.InvalidSetting(section, option,
                                    f'not a UUID: {text!r}') from None


def networks(section: str, option: str, values: Sequence[str]
             ) -> tuple[Network, ...]:
    """:raises InvalidSetting: one of them is no network."""
    try:
        return tuple(ipaddress.ip_network(text.strip()) for text in values)
    except ValueError as exc:
        raise errors.InvalidSetting(section, option, str(exc)) from exc


def _trust(backend: Backend, section: str, option: Mapping[str, Any],
           served: ClusterSettings | None) -> tuple[lb_tls.TlsTrust, str]:
    """Whom to trust, and the option that says so."""
    inherited = option_of(backend, section, 'driver_ssl_cert_path')
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
            insecure=option['tls_insecure'], digest=_digest(ca_file))
        trust.validate()
    except ValueError as exc:
        raise errors.InvalidSetting(section, used, str(exc)) from exc
    except lb_errors.Untrusted as exc:
        if (served is None or served.signature != _signature(option)
                or served.client.tls.ca_file != ca_file):
            raise errors.InvalidSetting(section, used, str(exc)) from exc
        LOG.error('[%s] %s: %s; what was read before is trusted on.',
                  section, used, exc)
        return served.client.tls, served.trust_option
    return trust, used


def _digest(path: str | None) -> str:
    """:returns: something that differs with what is in a file."""
    if not path:
        return ''
    try:
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    except OSError:
        # Told with its reason by who loads it.
        return ''


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
