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
"""Horizon: its settings, its static files, its process."""

from __future__ import annotations

import pathlib

from tests.horizon import sites
from tests.stack import daemons
from tests.stack import programs

# Has a package "local": where Horizon looks for a deployment's settings.
_SETTINGS = pathlib.Path(__file__).with_name('overrides')
_APPLICATION = 'tests.horizon.static:application'


class Dashboard:
    """The web site.

    :param folder: is made, and takes all files.
    :param keystone: its ``auth_url``.
    """

    def __init__(self, folder: pathlib.Path, keystone: str,
                 guard: daemons.Guard) -> None:
        self._folder = folder
        self._environment = {
            'HORIZON_FOLDER': str(folder), 'HORIZON_KEYSTONE_URL': keystone,
            'DJANGO_SETTINGS_MODULE': 'openstack_dashboard.settings',
            'PYTHONPATH': f'{_SETTINGS}:{daemons.ROOT}',
            'PYTHONWARNINGS': 'ignore'}
        self._site = sites.Site('horizon', _APPLICATION,
                                folder / 'horizon.out', self._environment,
                                guard)

    @property
    def url(self) -> str:
        """Root address, without a slash at the end."""
        return self._site.url

    @property
    def daemon(self) -> daemons.Daemon:
        """The process."""
        return self._site.daemon

    def start(self) -> None:
        """Gather and compress the static files, and serve."""
        self._folder.mkdir(mode=0o700)
        self._administrate('collectstatic', '--noinput')
        self._administrate('compress', '--force')
        self.daemon.start(sites.PATIENCE)

    def close(self) -> None:
        """End it at once. Idempotent."""
        self._site.close()

    def _administrate(self, *words: str) -> None:
        daemons.run(['env', *(f'{name}={value}' for name, value
                              in self._environment.items()),
                     programs.command('django-admin'), *words],
                    self._folder / 'django-admin.out', sites.PATIENCE)
