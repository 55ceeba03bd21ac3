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

"""Thick clones by the operator's command, registered by Cinder's API."""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
from typing import Any

import fixtures

from cinder_lightbits_federation.copy.wanted import THICK_CLONE
from cinder_lightbits_federation.jobs.book import Book
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.store.engine import parse
from cinder_lightbits_federation.store.engine import Store
from tests.copying import files
from tests.embedded import federation
from tests.embedded import file_driver
from tests.embedded import tokens
from tests.functional import base

MAIN = ('import sys; from cinder_lightbits_federation.cli.main import main; '
        'sys.exit(main())')
GIB, MIB = 1 << 30, 1 << 20


class Signpost(http.server.ThreadingHTTPServer):
    """An address that is known before that of the API, and leads there.

    :ivar target: root address of the API.
    """

    daemon_threads = True
    target = ''

    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), Pointing)


class Pointing(http.server.BaseHTTPRequestHandler):
    """Answers with the same path at the API."""

    protocol_version = 'HTTP/1.1'

    def answer(self) -> None:
        """Send whoever asks to the API."""
        assert isinstance(self.server, Signpost)
        self.rfile.read(int(self.headers.get('Content-Length', 0)))
        self.send_response(307)
        self.send_header('Location', self.server.target + self.path)
        self.send_header('Content-Length', '0')
        self.end_headers()

    do_GET = do_POST = do_DELETE = do_PUT = answer  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


class ThickCloneTest(base.FunctionalTest):

    def setUp(self) -> None:
        super().setUp()
        for name in ('east', 'west'):
            self.add_cluster(name, data_plane='sparse')
        held = self.clusters['east'].state()['volumes'][0]['UUID']
        path = self.clusters['east'].data_path(held)
        assert path is not None
        clouds = self.folder / 'clouds.yaml'
        for name, value in (
                (file_driver.FOLDER, os.path.dirname(os.path.dirname(path))),
                ('OS_CLIENT_CONFIG_FILE', str(clouds))):
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        self.start(backend={'volume_driver': file_driver.DRIVER})
        self.signpost = Signpost()
        self.addCleanup(self.signpost.server_close)
        threading.Thread(target=self.signpost.serve_forever,
                         daemon=True).start()
        self.addCleanup(self.signpost.shutdown)
        port = self.signpost.server_address[1]
        clouds.write_text(json.dumps({'clouds': {'here': {
            'auth_type': 'admin_token', 'auth': {
                'endpoint': f'http://127.0.0.1:{port}/v3',
                'token': tokens.ADMIN.token(self.cloud.secret)}}}}))
        self.cloud.drop_in('cloud', f'[{federation.BACKEND}]\n'
                                    'lightbits_os_cloud = here\n')
        self.cloud.restart()
        self.signpost.target = self.cloud.api
        self.sdk = self.cloud.sdk()
        store = Store(parse(f'sqlite:///{self.cloud.layout.state}/'
                            'lightbits-federation.sqlite'))
        self.addCleanup(store.close)
        self.book = Book(store, f'embedded@{federation.BACKEND}')

    def process(self, *argv: str) -> subprocess.Popen[str]:
        """Start the operator's command over the files of the service."""
        layout = self.cloud.layout
        return subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-c', MAIN, '--config-file',
             str(layout.base_config), '--config-file', str(layout.config),
             '--config-dir', str(layout.config_dir),
             '--backend', federation.BACKEND, *argv, '-f', 'json'],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def command(self, *argv: str) -> Any:
        """Run the command and return what it printed."""
        process = self.process(*argv)
        out, err = process.communicate(timeout=120)
        self.assertEqual(0, process.returncode, err)
        return json.loads(out)

    def filled(self) -> tuple[str, Any]:
        """A volume with data, and the cluster it is not on."""
        volume = self.create(self.sdk)
        files.scatter(self.path(volume), GIB, 64 * MIB)
        home, _found = self.on_array(volume)
        there, = set(self.clusters) - {home}
        return there, volume

    def path(self, volume: Any) -> pathlib.Path:
        """The file of a volume, wherever it is."""
        name, found = self.on_array(volume)
        return pathlib.Path(str(
            self.clusters[name].data_path(found['UUID'])))

    def test_clones(self) -> None:
        """They come out as volumes of Cinder, or leave nothing."""
        there, source = self.filled()
        made = self.sdk.create_attachment(source.id,
                                          connector=base.CONNECTOR)
        self.sdk.complete_attachment(made)
        self.check_cancelled(source, there)
        self.check_registered(source, there)
        self.check_refused(source, there)

    def check_registered(self, source: Any, there: str) -> None:
        """A clone that Cinder has taken over is as good as any volume."""
        told = self.command('volume', 'clone', source.id, '--cluster', there,
                            '--name', 'the clone', '--yes', '--wait')
        clone = self.settled(self.sdk, self.sdk.find_volume('the clone'))
        self.assertEqual((clone.id, 'done'),
                         (told['cinder_id'], told['state']))
        self.assertEqual((there, told['uuid'], 1, {}), (
            self.on_array(clone)[0], self.on_array(clone)[1]['UUID'],
            clone.size, clone.metadata))
        self.assertEqual(files.content(self.path(source)),
                         files.content(self.path(clone)))
        self.audit()
        self.sdk.extend_volume(clone.id, 2)
        self.wait(lambda: self.sdk.get_volume(clone.id).size == 2,
                  'the clone to grow')
        self.settled(self.sdk, clone)
        self.delete(self.sdk, clone)
        self.audit()

    def check_cancelled(self, source: Any, there: str) -> None:
        """A clone that is cancelled in the middle of it leaves nothing."""
        told = self.command(
            'volume', 'clone', source.id, '--cluster', there, '--name', 'x',
            '--rate', '1', '--yes')
        self.wait(lambda: self.book.get(told['job']).done,
                  'something to be copied', 180)
        self.command('job', 'cancel', told['job'], '--yes')
        self.wait(lambda: self.book.get(told['job']).ended,
                  'the end of the job', 180)
        self.assertIs(JobState.CANCELLED, self.book.get(told['job']).state)
        self.assertEqual([source.id],
                         [item.id for item in self.sdk.volumes()])
        self.audit()

    def check_refused(self, source: Any, there: str) -> None:
        """What Cinder does not take is registered later."""
        kind = self.sdk.create_type(name='elsewhere', extra_specs={
            'lightos:cluster': f'!{there}'})
        process = self.process(
            'volume', 'clone', source.id, '--cluster', there, '--name',
            'late', '--type', 'elsewhere', '--yes', '--wait')
        _out, err = process.communicate(timeout=120)
        self.assertEqual(4, process.returncode, err)
        self.assertIn('Cinder has not taken over', err)
        # Cinder forgets what it has failed at, and the audit tells the rest.
        self.assertEqual([source.id],
                         [item.id for item in self.sdk.volumes()])
        job = self.book.all(kind=THICK_CLONE)[0]
        self.sdk.update_type_extra_specs(
            kind, **{'lightos:cluster': there})
        self.command('job', 'resume', job.id)
        self.wait(lambda: self.sdk.find_volume('late'), 'the clone', 180)
        clone = self.settled(self.sdk, self.sdk.find_volume('late'))
        self.assertEqual(files.content(self.path(source)),
                         files.content(self.path(clone)))
        self.wait(lambda: self.book.get(job.id).ended, 'the end of the job')
        self.assertIs(JobState.DONE, self.book.get(job.id).state)
        self.audit()
