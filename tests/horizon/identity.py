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
"""Keystone: users, projects, the catalogue."""

from __future__ import annotations

import dataclasses
import grp
import os
import pathlib
import pwd
import secrets
from typing import Any

from openstack import connection

from tests.embedded import clients
from tests.embedded import settings as embedded
from tests.horizon import sites
from tests.stack import daemons
from tests.stack import mariadb
from tests.stack import programs

_DATABASE = 'keystone'
REGION = 'RegionOne'
_APPLICATION = 'keystone.wsgi.api:application'
_CONFIG = """\
[DEFAULT]
use_stderr = False
log_file = {folder}/keystone.log

[database]
connection = {database}

[token]
provider = fernet

[fernet_tokens]
key_repository = {folder}/fernet-keys
"""
_MIDDLEWARE = """\
[keystone_authtoken]
www_authenticate_uri = {url}
auth_url = {url}
auth_type = password
username = {user}
password = {password}
project_name = {project}
user_domain_id = default
project_domain_id = default
service_token_roles_required = True
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """A user in a project, both of the default domain.

    :ivar roles: in the project.
    """

    user: str
    project: str
    roles: tuple[str, ...]
    password: str = dataclasses.field(
        default_factory=lambda: secrets.token_hex(16), repr=False)


class Keystone:
    """The service, its accounts and its catalogue.

    :param folder: is made, and takes all files.
    :ivar admin: administrator of the cloud.
    """

    def __init__(self, folder: pathlib.Path, guard: daemons.Guard) -> None:
        self._folder = folder
        self._config = folder / 'keystone.conf'
        self._service = Account('services', 'service', ('admin', 'service'))
        self.admin = Account('admin', 'admin', ('admin',))
        self._site = sites.Site(
            'keystone', _APPLICATION, folder / 'keystone.out',
            {'OS_KEYSTONE_CONFIG_FILES': str(self._config),
             'PYTHONWARNINGS': 'ignore'}, guard)

    @property
    def url(self) -> str:
        """What clients know as ``auth_url``; known before it serves."""
        return f'{self._site.url}/v3'

    @property
    def daemon(self) -> daemons.Daemon:
        """The process."""
        return self._site.daemon

    def middleware(self) -> str:
        """Return the section that a service needs to ask this one."""
        return _MIDDLEWARE.format(
            url=self.url, user=self._service.user,
            password=self._service.password, project=self._service.project)

    def start(self, server: mariadb.MariaDb) -> None:
        """Fill the database and serve.

        :param server: has to run; the database is made there.
        """
        self._folder.mkdir(mode=0o700)
        embedded.write_private(self._config, _CONFIG.format(
            folder=self._folder, database=server.url_of(_DATABASE)))
        server.create(_DATABASE)
        self._manage('db_sync')
        self._manage(
            'fernet_setup',
            '--keystone-user', pwd.getpwuid(os.geteuid()).pw_name,
            '--keystone-group', grp.getgrgid(os.getegid()).gr_name)
        self._manage(
            'bootstrap', '--bootstrap-username', self.admin.user,
            '--bootstrap-password', self.admin.password,
            '--bootstrap-project-name', self.admin.project,
            '--bootstrap-region-id', REGION,
            '--bootstrap-public-url', self.url,
            '--bootstrap-internal-url', self.url)
        self.daemon.start(sites.PATIENCE)
        self.register(self._service)

    def register(self, account: Account) -> None:
        """Make a user, and the project if it is not there."""
        sdk = self.connect(self.admin).identity
        user = sdk.create_user(name=account.user, password=account.password,
                               domain_id='default')
        project = sdk.find_project(account.project) or sdk.create_project(
            name=account.project, domain_id='default')
        for name in account.roles:
            sdk.assign_project_role_to_user(
                project, user, sdk.find_role(name, ignore_missing=False))

    def publish(self, kind: str, name: str, url: str) -> None:
        """Have a service in the catalogue.

        :param kind: its type, such as ``block-storage``.
        """
        sdk = self.connect(self.admin).identity
        service = sdk.create_service(type=kind, name=name)
        sdk.create_endpoint(service_id=service.id, interface='public',
                            region_id=REGION, url=url)

    def environment(self, account: Account) -> dict[str, str]:
        """Return the variables ``openstack`` needs, and no others."""
        return {'OS_AUTH_URL': self.url, 'OS_USERNAME': account.user,
                'OS_PASSWORD': account.password,
                'OS_PROJECT_NAME': account.project,
                'OS_USER_DOMAIN_ID': 'default',
                'OS_PROJECT_DOMAIN_ID': 'default',
                'OS_REGION_NAME': REGION,
                'OS_IDENTITY_API_VERSION': '3',
                'OS_VOLUME_API_VERSION': clients.MICROVERSION}

    def connect(self, account: Account) -> Any:
        """Return openstacksdk's connection of a user."""
        return connection.Connection(
            auth={'auth_url': self.url, 'username': account.user,
                  'password': account.password,
                  'project_name': account.project,
                  'user_domain_id': 'default',
                  'project_domain_id': 'default'},
            region_name=REGION,
            block_storage_default_microversion=clients.MICROVERSION)

    def close(self) -> None:
        """End it at once. Idempotent."""
        self._site.close()

    def _manage(self, *words: str) -> None:
        daemons.run([programs.command('keystone-manage'), '--config-file',
                     str(self._config), *words],
                    self._folder / 'manage.out', sites.PATIENCE)
