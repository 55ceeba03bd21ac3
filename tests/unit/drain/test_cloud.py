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

"""What is made of Cinder's answers, as openstacksdk tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import json
import pathlib
import socket
import time
from typing import Any

import fixtures
from keystoneauth1 import exceptions as auth_exceptions
from openstack import exceptions
from oslotest import base
import requests
import yaml

from cinder_lightbits_federation.drain import cloud
from cinder_lightbits_federation.drain.mover import CloudUnavailable
from cinder_lightbits_federation.drain.mover import MoveRefused
from tests.embedded import wsgi


class ToldTestCase(base.BaseTestCase):

    def told(self, exc: Exception) -> type[Exception]:
        """:returns: what an error of the client is told as."""
        try:
            with cloud.told(MoveRefused, CloudUnavailable):
                raise exc
        except (MoveRefused, CloudUnavailable) as found:
            return type(found)

    def answered(self, status: int) -> type[Exception]:
        """:returns: what an answer is told as."""
        response = requests.Response()
        response.status_code = status
        try:
            exceptions.raise_from_response(response)
        except exceptions.HttpException as exc:
            return self.told(exc)
        raise AssertionError(f'{status} is no error')

    def test_refusals(self) -> None:
        for status in (400, 401, 403, 404, 409, 413):
            self.assertIs(MoveRefused, self.answered(status))
        self.assertIs(MoveRefused, self.told(auth_exceptions.Unauthorized()))

    def test_what_passes(self) -> None:
        for status in (429, 500, 502, 503, 504):
            self.assertIs(CloudUnavailable, self.answered(status))

    def test_nobody_answers(self) -> None:
        for exc in (auth_exceptions.ConnectFailure('refused'),
                    auth_exceptions.ConnectTimeout('no answer'),
                    auth_exceptions.UnknownConnectionError('reset', None),
                    auth_exceptions.ServiceUnavailable(),
                    auth_exceptions.DiscoveryFailure('no document')):
            self.assertIs(CloudUnavailable, self.told(exc))

    def test_it_may_be_all_the_same(self) -> None:
        def ask() -> None:
            with cloud.told(MoveRefused):
                raise auth_exceptions.ConnectFailure('refused')

        self.assertRaises(MoveRefused, ask)


class Answers:
    """Cinder's API, of one volume.

    :ivar volume: what it is.
    :ivar asked: bodies of requests.
    """

    def __init__(self) -> None:
        self.volume: dict[str, str] = {}
        self.asked: list[Any] = []

    def __call__(self, environ: Mapping[str, Any], start: Callable[..., Any]
                 ) -> list[bytes]:
        """Give the versions or the volume, or accept an action."""
        body: Any = {'version': {
            'id': 'v3.0', 'status': 'CURRENT', 'version': '3.70',
            'min_version': '3.0', 'links': [{
                'rel': 'self', 'href': f'http://{environ["HTTP_HOST"]}/v3/'
            }]}}
        if environ['REQUEST_METHOD'] == 'POST':
            size = int(environ['CONTENT_LENGTH'])
            self.asked.append(json.loads(environ['wsgi.input'].read(size)))
        elif '/volumes/' in environ['PATH_INFO']:
            body = {'volume': self.volume}
        data = json.dumps(body).encode()
        start('200 OK', [('Content-Type', 'application/json'),
                         ('Content-Length', str(len(data)))])
        return [data]


def cloud_at(test: base.BaseTestCase, root: str, **more: Any
             ) -> cloud.LateProxy:
    """:returns: what asks the Cinder at a URL, by openstacksdk."""
    folder = pathlib.Path(test.useFixture(fixtures.TempDir()).path)
    url = f'{root}/v3'
    path = folder / 'clouds.yaml'
    path.write_text(yaml.safe_dump({'clouds': {'here': {
        'auth_type': 'none', 'endpoint': url,
        'block_storage_endpoint_override': url, **more}}}), encoding='utf-8')
    test.useFixture(fixtures.EnvironmentVariable('OS_CLIENT_CONFIG_FILE',
                                                 str(path)))
    return cloud.connect_late('here')


class ForgottenTestCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.answers = Answers()
        web = wsgi.ApiServer(self.answers, '127.0.0.1')
        web.start()
        self.addCleanup(web.stop)
        self.cloud = cloud.CinderCloud(cloud_at(self, web.url),
                                       'stor1@lightbits', None)

    def forgotten(self, status: str) -> Any:
        """:returns: what of a volume was reset."""
        self.answers.volume.update(id='a', status=status,
                                   migration_status='migrating')
        self.cloud.forget_migration('a')
        return self.answers.asked.pop()['os-reset_status']

    def test_a_locked_volume_is_free_again(self) -> None:
        for status in ('maintenance', 'retyping'):
            self.assertEqual({'status': 'available',
                              'migration_status': 'none'},
                             self.forgotten(status))

    def test_one_that_is_used_stays_so(self) -> None:
        for status in ('in-use', 'attaching'):
            self.assertEqual({'migration_status': 'none'},
                             self.forgotten(status))


class SilentTestCase(base.BaseTestCase):
    """Something accepts connections in the place of Cinder."""

    def setUp(self) -> None:
        super().setUp()
        # Held on to: else it ends with this method.
        self.listening = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(self.listening.close)
        self.root = f'http://127.0.0.1:{self.listening.getsockname()[1]}'

    def assert_unavailable(self, **more: Any) -> None:
        """Ask, and be told in time that nobody answers."""
        asked = cloud.CinderCloud(cloud_at(self, self.root, **more),
                                  'stor1@lightbits', None)
        began = time.monotonic()
        self.assertRaises(CloudUnavailable, asked.phase, 'a')
        # It was not refused.
        self.assertGreaterEqual(time.monotonic() - began, 0.2)

    def test_it_has_its_time(self) -> None:
        self.useFixture(fixtures.MonkeyPatch(f'{cloud.__name__}.TIMEOUT',
                                             0.2))
        self.useFixture(fixtures.Timeout(30, gentle=True))
        self.assert_unavailable()

    def test_the_operator_may_say_which(self) -> None:
        self.useFixture(fixtures.Timeout(30, gentle=True))
        self.assert_unavailable(api_timeout=0.2)
