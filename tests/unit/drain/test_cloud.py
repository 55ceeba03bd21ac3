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

from keystoneauth1 import exceptions as auth_exceptions
from openstack import exceptions
from oslotest import base
import requests

from cinder_lightbits_federation.drain import cloud
from cinder_lightbits_federation.drain.mover import CloudUnavailable
from cinder_lightbits_federation.drain.mover import MoveRefused


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
