# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""The configuration files of the Cinder services of a stack."""

from __future__ import annotations

import dataclasses
import pathlib
import secrets

from tests.embedded import settings as embedded

CLUSTER = 'stor'
HOSTS = ('stor1', 'stor2', 'stor3')

# Names the file that takes the API's address.
API_ADDRESS = 'STACK_API_ADDRESS'

# What all services share. Intervals are short so that tests need not wait; a
# service whose last report is older than service_down_time counts as down.
_COMMON = """\
[DEFAULT]
debug = True
use_stderr = False
default_log_levels = {quiet}
transport_url = {broker}
auth_strategy = keystone
api_paste_config = {folder}/api-paste.ini
resource_query_filters_file = {filters}
quota_volumes = -1
quota_snapshots = -1
quota_gigabytes = -1
report_interval = {report_interval}
service_down_time = {down_time}
periodic_interval = 5
periodic_fuzzy_delay = 0
backend_stats_polling_interval = 5
scheduler_driver_init_wait_time = 1
rpc_response_timeout = {rpc_timeout}
cluster = {cluster}

[database]
connection = {database}
max_pool_size = 20
max_overflow = 40
max_retries = -1
retry_interval = 1

[coordination]
backend_url = {locks}

[oslo_messaging_rabbit]
rabbit_retry_interval = 1
rabbit_retry_backoff = 1
rabbit_interval_max = 3
kombu_reconnect_delay = 0.2
heartbeat_timeout_threshold = 20
"""

_SERVICE = """\
[DEFAULT]
host = {name}
state_path = {folder}/{name}
log_file = {folder}/{name}.log

[oslo_concurrency]
lock_path = {folder}/{name}/locks
"""

REPORT_INTERVAL = 2
DOWN_TIME = 12
RPC_TIMEOUT = 30
OPERATION_TIMEOUT = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Urls:
    """Where the services find those they depend on."""

    database: str
    broker: str
    locks: str


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of Cinder's services are."""

    folder: pathlib.Path

    @property
    def secret(self) -> pathlib.Path:
        """Secret part of every token, mode 0600."""
        return self.folder / 'token-secret'

    @property
    def config_dir(self) -> pathlib.Path:
        """The operator's drop-in folder; wins over the files."""
        return self.folder / 'cinder.conf.d'

    def log(self, name: str) -> pathlib.Path:
        """Log of a service, by the name of its host."""
        return self.folder / f'{name}.log'

    def output(self, name: str) -> pathlib.Path:
        """What a service wrote to its standard error."""
        return self.folder / f'{name}.out'

    def arguments(self, name: str) -> list[str]:
        """What tells a service where its configuration is."""
        files = ('common.conf', 'cinder.conf', f'{name}.conf')
        return [word for file in files
                for word in ('--config-file', str(self.folder / file))
                ] + ['--config-dir', str(self.config_dir)]


def prepare(layout: Layout, config: str, urls: Urls) -> None:
    """Write what all services share.

    :param config: the operator's ``cinder.conf``; wins over the common file.
    """
    layout.config_dir.mkdir(mode=0o700, parents=True)
    embedded.write_private(layout.secret, secrets.token_hex(16))
    (layout.folder / 'api-paste.ini').write_text(embedded.paste_config(
        embedded.installed('api-paste.ini').read_text(), layout.secret))
    (layout.folder / 'common.conf').write_text(_COMMON.format(
        folder=layout.folder, quiet=embedded.QUIET,
        filters=embedded.installed('resource_filters.json'),
        broker=urls.broker, database=urls.database, locks=urls.locks,
        cluster=CLUSTER, report_interval=REPORT_INTERVAL,
        down_time=DOWN_TIME, rpc_timeout=RPC_TIMEOUT))
    (layout.folder / 'cinder.conf').write_text(config)


def prepare_service(layout: Layout, name: str, more: str = '') -> None:
    """Write what is a service's own; it counts from its next start on.

    :param name: its host.
    :param more: sections that win over those all services share.
    """
    (layout.folder / name / 'locks').mkdir(mode=0o700, parents=True,
                                           exist_ok=True)
    (layout.folder / f'{name}.conf').write_text(
        _SERVICE.format(name=name, folder=layout.folder) + more)
