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

"""What ends soon is known as data, and warned of once a day."""

from __future__ import annotations

import datetime
import logging
import os
import time
from typing import Any
from unittest import mock

from cryptography import x509

from cinder_lightbits_federation import expiry
from cinder_lightbits_federation.expiry import Kind
from cinder_lightbits_federation.lightbits import tokens
from tests.unit.driver import base

DAY = expiry.DAY


class ExpiryTestCase(base.FederationTestCase):

    CLUSTERS = ('east',)
    NODES = 1

    def setUp(self) -> None:
        super().setUp()
        self.array = self.arrays['east']

    def ends(self, **section: Any) -> dict[Kind, float]:
        """:returns: seconds since 1970, by kind."""
        driver = self.start_driver({'east': self.section('east', **section)})
        self.cluster, = driver.federation.registry.clusters
        return {item.kind: item.ends
                for item in expiry.expiries([self.cluster])}

    def authority(self) -> x509.Certificate:
        """:returns: the CA of the cluster."""
        with open(self.array.ca_file, 'rb') as file:
            return x509.load_pem_x509_certificate(file.read())

    def minting(self, **section: Any) -> dict[Kind, float]:
        """:returns: the ends where tokens are signed with a key."""
        return self.ends(
            jwt=None, credential_id=self.array.credential_id,
            private_key_file=self.array.private_key_file,
            token_scope='system', **section)


class ExpiriesTest(ExpiryTestCase):

    def test_token(self) -> None:
        found = self.ends(jwt=self.array.token(ttl=20 * DAY))
        self.assertAlmostEqual(time.time() + 20 * DAY, found[Kind.TOKEN],
                               delta=300)
        self.assertNotIn(Kind.CREDENTIAL, found)

    def test_token_file(self) -> None:
        path = os.path.join(self.folder, 'jwt')
        with open(path, 'w', encoding='ascii') as file:
            file.write(self.array.token(ttl=5 * DAY))
        found = self.ends(jwt=None, jwt_file=path)
        self.assertAlmostEqual(time.time() + 5 * DAY, found[Kind.TOKEN],
                               delta=300)
        os.unlink(path)
        # It may be being written, so the one of before serves for a while.
        with mock.patch.object(tokens, 'GRACE', 0.0):
            self.assertNotIn(Kind.TOKEN, {
                item.kind for item in expiry.expiries([self.cluster])})

    def test_certificate_and_authority(self) -> None:
        found = self.ends()
        self.assertEqual(self.authority().not_valid_after_utc.timestamp(),
                         found[Kind.AUTHORITY])
        with self.array.connect() as sock:
            shown = x509.load_der_x509_certificate(
                sock.getpeercert(binary_form=True) or b'')
        self.assertEqual(shown.not_valid_after_utc.timestamp(),
                         found[Kind.CERTIFICATE])

    def test_key(self) -> None:
        made = os.stat(self.array.private_key_file).st_mtime
        found = self.minting(credential_lifetime=100)
        self.assertEqual(made + 100 * DAY, found[Kind.CREDENTIAL])
        self.assertNotIn(Kind.TOKEN, found)

    def test_keys_may_have_no_end(self) -> None:
        self.assertNotIn(Kind.CREDENTIAL,
                         self.minting(credential_lifetime=0))

    def test_without_a_connection(self) -> None:
        self.array.stop()
        self.assertEqual({Kind.AUTHORITY, Kind.TOKEN}, set(self.ends()))

    def test_days_left(self) -> None:
        item = expiry.Expiry('east', Kind.TOKEN, 'jwt', 1000 + 3 * DAY)
        self.assertEqual((3.0, -1.0), (item.days_left(1000),
                                       item.days_left(1000 + 4 * DAY)))


class WarningTest(ExpiryTestCase):

    def test_once_a_day(self) -> None:
        self.ends(jwt=self.array.token(ttl=20 * DAY + 60))
        log = self.logged(logging.WARNING)
        watch = expiry.ExpiryWatch(self.cluster)
        now = time.monotonic()
        counts = []
        for hours in (0, 0.5, 2, 23, 25):
            with mock.patch.object(expiry.time, 'monotonic', autospec=True,
                                   return_value=now + hours * 3600):
                watch.look()
            counts.append(log.output.count('the token (jwt) ends on'))
        self.assertEqual([1, 1, 1, 1, 2], counts)
        self.assertIn('in 20 days', log.output)
        self.assertNotIn('certificate', log.output)

    def test_what_has_ended(self) -> None:
        self.minting(credential_lifetime=1)
        os.utime(self.array.private_key_file, (
            time.time(), time.time() - 3 * DAY))
        log = self.logged(logging.WARNING)
        expiry.ExpiryWatch(self.cluster).look()
        when = (datetime.datetime.now(datetime.UTC)
                - datetime.timedelta(days=2)).strftime('%Y-%m-%d')
        self.assertIn(f'has ended on {when}', log.output)

    def test_the_service_warns_at_its_start(self) -> None:
        log = self.logged(logging.WARNING)
        self.ends(jwt=self.array.token(ttl=3 * DAY))
        self.wait(lambda: 'the token (jwt) ends on' in log.output or None)
