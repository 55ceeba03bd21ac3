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

"""What tests against scripted servers share."""

from __future__ import annotations

import pathlib
import tempfile

from oslotest import base

from cinder_lightbits_federation.lightbits import client as lb_client
from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import tls
from cinder_lightbits_federation.lightbits import tokens
from tests.unit.lightbits import wire


def proving(script: wire.Script) -> wire.Script:
    """:returns: `script` that also proves to be `wire.CLUSTER`."""
    return lambda request: (wire.info() if request.target == wire.PROOF
                            else script(request))


class WireTestCase(base.BaseTestCase):
    """Has an authority, and makes servers and clients that go again."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.authority = wire.Authority(self.folder)
        self.trust = tls.TlsTrust(ca_file=str(self.authority.file))
        self.certificate = self.authority.certificate('x', '127.0.0.1')

    def serve(self, script: wire.Script = lambda request: wire.Answer(),
              *, certificate: wire.Certificate | None = None,
              host: str = '127.0.0.1', port: int = 0,
              prove: bool = True) -> wire.Server:
        """Start a server.

        :param prove: answer the cluster info without asking `script`.
        """
        server = wire.Server(certificate or self.certificate,
                             proving(script) if prove else script,
                             host=host, port=port)
        self.addCleanup(server.stop)
        return server

    def client(self, *servers: wire.Server, host: str = '127.0.0.1',
               trust: tls.TlsTrust | None = None,
               source: tokens.TokenSource | None = None,
               expected_uuid: str | None = None,
               connect_timeout: float = 2.0, api_timeout: float = 5.0,
               ) -> lb_client.LightbitsClient:
        """Make a client of these servers, in this order."""
        made = lb_client.LightbitsClient(
            lb_client.ClientConfig(
                name='east', tls=trust or self.trust,
                seeds=tuple(endpoints.Endpoint(host, server.port)
                            for server in servers),
                expected_uuid=expected_uuid,
                connect_timeout=connect_timeout, api_timeout=api_timeout),
            source or tokens.StaticToken('the-token'))
        self.addCleanup(made.close)
        return made
