#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""The configuration files of an embedded service."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import pathlib
import secrets

_AUTH_FACTORY = 'keystonemiddleware.auth_token:filter_factory'
_TOKEN_FACTORY = 'tests.embedded.tokens:filter_factory'

# Everything a deployment would have around Cinder is replaced by something
# that needs no daemon; intervals are short so that tests need not wait. The
# volume services are up before the scheduler starts to wait for them.
_BASE = """\
[DEFAULT]
host = embedded
state_path = {state}
log_file = {state}/cinder.log
debug = True
use_stderr = False
default_log_levels = {quiet}
transport_url = fake:/
auth_strategy = keystone
api_paste_config = {state}/api-paste.ini
resource_query_filters_file = {filters}
osapi_volume_listen = 127.0.0.1
quota_volumes = -1
quota_snapshots = -1
quota_gigabytes = -1
report_interval = 3
periodic_interval = 1
periodic_fuzzy_delay = 0
backend_stats_polling_interval = 3
scheduler_driver_init_wait_time = 1
rpc_response_timeout = 60

[database]
connection = sqlite:///{state}/cinder.sqlite?timeout=30
sqlite_synchronous = False

[coordination]
backend_url = file://{state}/coordination

[oslo_concurrency]
lock_path = {state}/locks
"""


# Everything of the driver is logged; of Cinder, what a reader can use.
QUIET = ','.join(f'{name}={level}' for name, level in {
    'alembic': 'WARNING', 'cinder.api.extensions': 'INFO',
    'cinder.api.middleware': 'INFO', 'cinder.api.openstack': 'WARNING',
    'cinder.manager': 'INFO', 'cinder.scheduler': 'INFO',
    'eventlet': 'WARNING', 'oslo_concurrency': 'INFO',
    'oslo_db': 'INFO', 'oslo_messaging': 'INFO', 'oslo_policy': 'INFO',
    'keystoneauth': 'INFO', 'oslo_service': 'INFO', 'py.warnings': 'ERROR',
    'sqlalchemy': 'WARNING', 'stevedore': 'INFO',
    'tests.embedded.wsgi': 'INFO', 'urllib3': 'INFO'}.items())


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of one embedded service are."""

    state: pathlib.Path

    @property
    def base_config(self) -> pathlib.Path:
        """What makes Cinder run without its usual infrastructure."""
        return self.state / 'embedded.conf'

    @property
    def config(self) -> pathlib.Path:
        """The operator's ``cinder.conf``; wins over the base."""
        return self.state / 'cinder.conf'

    @property
    def config_dir(self) -> pathlib.Path:
        """The operator's drop-in folder; wins over both files."""
        return self.state / 'cinder.conf.d'

    @property
    def arguments(self) -> list[str]:
        """What tells a process where the configuration is."""
        return ['--config-file', str(self.base_config), '--config-file',
                str(self.config), '--config-dir', str(self.config_dir)]

    @property
    def paste_config(self) -> pathlib.Path:
        return self.state / 'api-paste.ini'

    @property
    def secret(self) -> pathlib.Path:
        """Secret part of every token, mode 0600."""
        return self.state / 'token-secret'

    @property
    def log(self) -> pathlib.Path:
        return self.state / 'cinder.log'

    @property
    def database(self) -> pathlib.Path:
        return self.state / 'cinder.sqlite'

    @property
    def output(self) -> pathlib.Path:
        """What the process wrote to its standard error."""
        return self.state / 'process.log'


def prepare(layout: Layout) -> None:
    """Write the files the service needs; safe to repeat over an old state.

    The operator's ``cinder.conf`` and an existing secret are left alone.
    """
    for folder in (layout.state, layout.config_dir,
                   layout.state / 'coordination', layout.state / 'locks'):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    layout.base_config.write_text(_BASE.format(
        state=layout.state, quiet=QUIET,
        filters=installed('resource_filters.json')))
    layout.config.touch(mode=0o600)
    if not layout.secret.exists():
        write_private(layout.secret, secrets.token_hex(16))
    layout.paste_config.write_text(
        paste_config(installed('api-paste.ini').read_text(),
                     layout.secret))


def paste_config(original: str, secret_file: pathlib.Path) -> str:
    """Return Cinder's own pipeline with the token filter in it.

    :raises ValueError: if the authentication filter is not where it was.
    """
    old = f'paste.filter_factory = {_AUTH_FACTORY}\n'
    if original.count(old) != 1:
        raise ValueError(
            'api-paste.ini does not name keystonemiddleware exactly once')
    return original.replace(
        old, f'paste.filter_factory = {_TOKEN_FACTORY}\n'
             f'secret_file = {secret_file}\n')


def installed(name: str, package: str = 'cinder') -> pathlib.Path:
    """Return the path of a file that a package installs.

    :raises FileNotFoundError: it holds no file of that name.
    """
    for path in importlib.metadata.files(package) or ():
        if path.name == name:
            return pathlib.Path(str(path.locate())).resolve()
    raise FileNotFoundError(f'the {package} package holds no {name}')


def write_private(path: pathlib.Path, text: str) -> None:
    """Create a file that only its owner can read.

    :raises FileExistsError: it is there already.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, 'w') as stream:
        stream.write(text)
