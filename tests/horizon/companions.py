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
"""The services that pages about volumes ask too: Glance and Nova.

Of each runs the API alone. There are no images and no servers, which is what
they answer.
"""

from __future__ import annotations

from collections.abc import Sequence
import pathlib
import shutil

from tests.embedded import settings as embedded
from tests.horizon import sites
from tests.stack import daemons
from tests.stack import mariadb
from tests.stack import programs

_COMMON = """\
[DEFAULT]
use_stderr = False
log_file = {folder}/{name}.log
{own}
[database]
connection = {database}

"""


class Companion:
    """The API of a service.

    :param folder: is made, and takes all files.
    """

    name: str
    kind: str
    # Added to the address in the catalogue.
    path: str
    _application: str
    _config_name: str
    # The variable that names the folder of the configuration.
    _variable: str

    def __init__(self, folder: pathlib.Path, server: mariadb.MariaDb,
                 guard: daemons.Guard) -> None:
        self._folder = folder
        self._server = server
        self._config = folder / self._config_name
        self._site = sites.Site(
            self.name, self._application, folder / f'{self.name}.out',
            {self._variable: str(folder), 'PYTHONWARNINGS': 'ignore'}, guard)

    @property
    def url(self) -> str:
        """Its address in the catalogue."""
        return f'{self._site.url}{self.path}'

    @property
    def daemon(self) -> daemons.Daemon:
        """The process."""
        return self._site.daemon

    def launch(self, middleware: str, broker: str) -> None:
        """Fill the databases and start the process.

        :param middleware: the section for keystonemiddleware.
        :param broker: what ``transport_url`` is set to.
        """
        self._folder.mkdir(mode=0o700)
        embedded.write_private(self._config, _COMMON.format(
            folder=self._folder, name=self.name,
            own=f'transport_url = {broker}\n{self._options()}',
            database=self._database(self.name)) + self._sections()
            + middleware)
        self._prepare()
        self.daemon.launch()

    def close(self) -> None:
        """End it at once. Idempotent."""
        self._site.close()

    def _options(self) -> str:
        """Return options of the default section."""
        return ''

    def _sections(self) -> str:
        """Return sections of its configuration."""
        raise NotImplementedError

    def _prepare(self) -> None:
        """Make databases and what is in them."""
        raise NotImplementedError

    def _database(self, name: str) -> str:
        return self._server.url_of(name)

    def _manage(self, *commands: Sequence[str]) -> None:
        for words in commands:
            daemons.run([programs.command(f'{self.name}-manage'),
                         '--config-file', str(self._config), *words],
                        self._folder / 'manage.out', sites.PATIENCE)


class Glance(Companion):
    """No images."""

    name = 'glance'
    kind = 'image'
    path = ''
    _application = 'glance.wsgi.api:application'
    _config_name = 'glance-api.conf'
    _variable = 'OS_GLANCE_CONFIG_DIR'

    def _options(self) -> str:
        return (f'enabled_backends = files:file\n'
                f'node_staging_uri = file://{self._folder}/staging\n')

    def _sections(self) -> str:
        paste = embedded.installed('glance-api-paste.ini', self.name)
        return (f'[glance_store]\ndefault_backend = files\n\n'
                f'[files]\nfilesystem_store_datadir = {self._folder}/images\n'
                f'\n[os_glance_staging_store]\n'
                f'filesystem_store_datadir = {self._folder}/staging\n'
                f'\n[os_glance_tasks_store]\n'
                f'filesystem_store_datadir = {self._folder}/tasks\n'
                f'\n[paste_deploy]\nflavor = keystone\n'
                f'config_file = {paste}\n\n')

    def _prepare(self) -> None:
        self._server.create(self.name)
        self._manage(['db_sync'])


class Nova(Companion):
    """No servers, and no host for any."""

    name = 'nova'
    kind = 'compute'
    path = '/v2.1'
    _application = 'nova.wsgi.osapi_compute:application'
    _config_name = 'nova.conf'
    _variable = 'OS_NOVA_CONFIG_DIR'

    def _options(self) -> str:
        return f'state_path = {self._folder}\n'

    def _sections(self) -> str:
        return (f'[api_database]\n'
                f'connection = {self._database("nova_api")}\n\n'
                f'[oslo_concurrency]\nlock_path = {self._folder}/locks\n\n')

    def _prepare(self) -> None:
        for database in ('nova', 'nova_api', 'nova_cell0'):
            self._server.create(database)
        shutil.copy(embedded.installed('api-paste.ini', self.name),
                    self._folder)
        self._manage(
            ['api_db', 'sync'],
            ['cell_v2', 'map_cell0', '--database_connection',
             self._database('nova_cell0')],
            ['db', 'sync'])
