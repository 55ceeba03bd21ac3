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
"""Everything together: clusters, Cinder, Keystone, Horizon."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import tempfile
import types
from typing import Any

from tests.embedded import cli
from tests.embedded import command
from tests.embedded import federation
from tests.embedded import file_driver
from tests.embedded import settings as embedded
from tests.horizon import companions
from tests.horizon import dashboard
from tests.horizon import identity
from tests.horizon import sites
from tests.stack import bed
from tests.stack import daemons
from tests.stack import settings

_BACKEND = {'volume_driver': file_driver.DRIVER,
            'lightbits_retype_by_copy': 'true'}

# Cinder's own pipeline again, with keystonemiddleware.
_AUTHENTICATED = """\
[DEFAULT]
api_paste_config = {paste}

{middleware}
"""


class Cloud:
    """A cloud without servers and images, for one project.

    :param threads: Cinder on native threads instead of eventlet.
    :ivar user: a member of the project.
    """

    def __init__(self, threads: bool) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='horizon-'))
        self._guard = daemons.Guard()
        self.keystone = identity.Keystone(
            self.folder / 'keystone', self._guard)
        self.horizon = dashboard.Dashboard(
            self.folder / 'horizon', self.keystone.url, self._guard)
        self.user = identity.Account('ada', 'research', ('member',))
        below = self.folder / 'bed'
        below.mkdir(mode=0o700)
        self.bed = bed.Bed(
            below, threads=threads, backend=_BACKEND,
            clusters=dict.fromkeys(bed.CLUSTERS, {'data_plane': 'sparse'}),
            more=_AUTHENTICATED.format(
                paste=embedded.installed('api-paste.ini'),
                middleware=self.keystone.middleware()))
        self.companions = [
            kind(self.folder / kind.name, self.bed.stack.database,
                 self._guard)
            for kind in (companions.Glance, companions.Nova)]

    def __enter__(self) -> Cloud:
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        self.close()

    def start_cinder(self) -> None:
        """Start Cinder and what it needs, but for Keystone."""
        # Moves copy files instead of devices.
        os.environ[file_driver.FOLDER] = self.bed.simulator.state_dir
        os.environ['PYTHONPATH'] = str(daemons.ROOT)
        self.bed.stack.start(sites.PATIENCE)

    def start_keystone(self) -> None:
        """Start Keystone; it knows all services and the user then."""
        self.keystone.start(self.bed.stack.database)
        self.keystone.publish('block-storage', 'cinder',
                              f'{self.bed.stack.api}/v3')
        for service in self.companions:
            self.keystone.publish(service.kind, service.name, service.url)
        self.keystone.register(self.user)

    def start_companions(self) -> None:
        """Start the APIs of Glance and Nova."""
        for service in self.companions:
            service.launch(self.keystone.middleware(),
                           self.bed.stack.broker.url)
        for service in self.companions:
            service.daemon.wait(sites.PATIENCE)

    def client(self, account: identity.Account) -> cli.OpenStackClient:
        """Return the ``openstack`` command of a user."""
        return cli.OpenStackClient(self.keystone.environment(account))

    def volumes(self, account: identity.Account) -> Any:
        """Return openstacksdk's proxy of Cinder of a user."""
        return self.keystone.connect(account).block_storage

    def operate(self, *argv: str) -> Any:
        """Run a command of ``lightbits-federation`` that shows something.

        :returns: what it printed.
        :raises CalledProcessError: its status is not 0.
        """
        layout = self.bed.stack.layout
        done = subprocess.run(
            command.federation(layout.arguments(settings.HOSTS[0]),
                               '--backend', federation.BACKEND, *argv,
                               '-f', 'json'),
            capture_output=True, text=True, timeout=120, check=True)
        return json.loads(done.stdout)

    def stop(self) -> None:
        """End everything in order, and check that it was.

        :raises DaemonFailed: something had ended before, or would not end.
        """
        told = daemons.stop_all([
            self.horizon.daemon, self.keystone.daemon,
            *(service.daemon for service in self.companions)])
        self.bed.stack.stop()
        if told:
            raise daemons.DaemonFailed('\n'.join(told))

    def close(self) -> None:
        """End what still runs, at once; the folder stays. Idempotent."""
        for service in (self.horizon, self.keystone, *self.companions):
            service.close()
        self.bed.close()
        self._guard.close()
