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

"""What may have happened, against simulated clusters."""

from typing import Any

from cryptography.hazmat.primitives import serialization

from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.lightbits import tokens
from cinder_lightbits_federation import timing
from tests.unit.lightbits import sim_base

PROJECT = sim_base.PROJECT
NEW = model.NewVolume(name='new', size=sim_base.GIB, replicas=1)
HTML: dict[str, Any] = {'body': '<html>', 'content_type': 'text/html'}


class OutcomeTestCase(sim_base.SimTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.east = self.cluster()
        self.made = self.client(self.east)
        self.made.version(PROJECT)
        self.east.reset_counters()

    def asked(self, route: str) -> int:
        return self.east.counters().requests.get(route, 0)

    def assert_create(self, kind: type[errors.LightbitsError], *,
                      applied: bool, times: int = 1) -> None:
        error = self.assertRaises(kind, self.made.create_volume, PROJECT,
                                  NEW)
        self.assertIn('volumes.create', str(error))
        self.assertEqual(times, self.asked('volumes.create'))
        found = self.made.find_volume(PROJECT, NEW.name)
        self.assertEqual(applied, found is not None)


class WriteTestCase(OutcomeTestCase):

    def test_lost_before_it_was_applied(self) -> None:
        for kind in ('drop_before', 'reset'):
            self.east.fault(kind, route='volumes.create', count=1)
            self.assert_create(errors.Ambiguous, applied=False)
            self.east.reset_counters()

    def test_applied_but_never_answered(self) -> None:
        self.east.fault('apply_then_drop', route='volumes.create', count=1)
        self.assert_create(errors.Ambiguous, applied=True)

    def test_internal_error(self) -> None:
        self.east.fault('status', route='volumes.create', status=500)
        self.assert_create(errors.Ambiguous, applied=False)

    def test_unreadable_answers(self) -> None:
        for mode in ('truncated', 'short', 'html', 'empty', 'not_object'):
            east = self.east = self.cluster(1)
            self.made = self.client(east)
            east.fault('wrong_json', route='volumes.create', mode=mode)
            self.assert_create(errors.Ambiguous, applied=True)

    def test_pages_of_proxies(self) -> None:
        for status in (404, 409, 429, 502, 503):
            fault = self.east.fault('status', route='volumes.create',
                                    status=status, **HTML)
            self.assert_create(errors.Ambiguous, applied=False)
            self.east.clear_fault(fault)
            self.east.reset_counters()

    def test_busy_is_repeated(self) -> None:
        for status in (503, 429):
            self.east.fault('status', route='volumes.create', count=2,
                            status=status)
            volume = self.made.create_volume(PROJECT, NEW)
            self.assertEqual(3, self.asked('volumes.create'))
            self.made.delete_volume(PROJECT, volume.uuid)
            self.east.reset_counters()

    def test_busy_until_the_deadline(self) -> None:
        self.east.fault('status', route='volumes.create', status=503)
        with sim_base.Clock() as clock:
            error = self.assertRaises(
                errors.Unavailable, self.made.create_volume, PROJECT, NEW,
                deadline=timing.Deadline.after(0.5))
        self.assertEqual(503, error.status)
        self.assertLess(clock.seconds, 3)
        self.assertGreater(self.asked('volumes.create'), 1)

    def test_a_busy_endpoint_is_not_the_only_one(self) -> None:
        self.east.fault('status', node=0, status=503)
        self.made.create_volume(PROJECT, NEW)
        self.assertEqual(2, self.asked('volumes.create'))

    def test_refusals_are_final(self) -> None:
        self.made.create_volume(PROJECT, NEW)
        self.assertRaises(errors.Conflict, self.made.create_volume, PROJECT,
                          NEW)
        self.assertRaises(errors.NotFound, self.made.delete_volume, PROJECT,
                          '00000000-0000-4000-8000-000000000000')
        self.assertRaises(
            errors.BadRequest, self.made.create_volume, PROJECT,
            model.NewVolume(name='no', size=1 << 30, replicas=7))
        self.assertEqual(3, self.asked('volumes.create'))


class ReadTestCase(OutcomeTestCase):

    def test_lost_is_repeated(self) -> None:
        for kind in ('drop_before', 'apply_then_drop', 'reset'):
            self.east.fault(kind, route='version', count=1)
            self.assertEqual('v2.0', self.made.version(PROJECT))
            self.assertEqual(2, self.asked('version'))
            self.east.reset_counters()

    def test_lost_at_one_endpoint_for_good(self) -> None:
        self.east.fault('drop_before', route='version', node=0)
        self.assertEqual('v2.0', self.made.version(PROJECT))
        self.assertEqual(3, self.asked('version'))

    def test_lost_everywhere(self) -> None:
        self.east.fault('drop_before', route='version')
        self.assertRaises(errors.Unreachable, self.made.version, PROJECT)
        self.assertEqual(6, self.asked('version'))

    def test_internal_error_at_one_endpoint(self) -> None:
        for status in (500, 502):
            self.east.fault('status', route='version', node=0,
                            status=status)
            self.assertEqual('v2.0', self.made.version(PROJECT))

    def test_internal_error_everywhere(self) -> None:
        self.east.fault('status', route='version', status=500)
        error = self.assertRaises(errors.ServerError, self.made.version,
                                  PROJECT)
        self.assertEqual(500, error.status)
        self.assertEqual(3, self.asked('version'))

    def test_unreadable_at_one_endpoint(self) -> None:
        self.east.fault('wrong_json', route='version', node=0)
        self.assertEqual('v2.0', self.made.version(PROJECT))

    def test_unreadable_everywhere(self) -> None:
        for mode in ('truncated', 'html', 'empty', 'not_object'):
            fault = self.east.fault('wrong_json', route='version', mode=mode)
            self.assertRaises(errors.InvalidReply, self.made.version,
                              PROJECT)
            self.east.clear_fault(fault)

    def test_busy_is_repeated(self) -> None:
        self.east.fault('status', route='version', count=2, status=503)
        self.assertEqual('v2.0', self.made.version(PROJECT))
        self.assertEqual(3, self.asked('version'))

    def test_a_page_is_no_proof_of_absence(self) -> None:
        volume = self.volume(self.made)
        self.east.fault('status', route='volumes.*', status=404, **HTML)
        self.assertRaises(errors.InvalidReply, self.made.get_volume, PROJECT,
                          volume.uuid)
        self.assertRaises(errors.InvalidReply, self.made.find_volume,
                          PROJECT, volume.name)
        self.assertRaises(errors.Ambiguous, self.made.delete_volume, PROJECT,
                          volume.uuid)


class TokenTestCase(sim_base.SimTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.east = self.cluster(projects=['default', 'tenant-a'])

    def minted(self, scope: tokens.TokenScope,
               credential_id: str = '') -> tokens.MintedToken:
        return tokens.MintedToken(
            self.east.private_key_file,
            credential_id or self.east.credential_id, scope)

    def test_expired_and_nothing_to_renew(self) -> None:
        made = self.client(self.east, source=tokens.StaticToken(
            self.east.token(ttl=-10)))
        self.assertRaises(errors.Unauthorized, made.version, PROJECT)

    def test_expired_on_an_open_connection(self) -> None:
        """A write is repeated after a 401: nothing was applied."""
        path = self.create_tempfiles([('jwt', self.east.token())])[0]
        made = self.client(self.east, source=tokens.FileToken(path))
        made.version(PROJECT)
        with open(path, 'w', encoding='ascii') as file:
            file.write(self.east.token(ttl=-10))
        self.assertRaises(errors.Unauthorized, made.version, PROJECT)
        with open(path, 'w', encoding='ascii') as file:
            file.write(self.east.token('system', ttl=60))
        made.create_volume(PROJECT, NEW)

    def test_minted_and_accepted(self) -> None:
        made = self.client(self.east,
                           source=self.minted(tokens.TokenScope.SYSTEM))
        self.assertEqual(self.east.uuid, made.cluster(PROJECT).info.uuid)

    def test_renewed_once(self) -> None:
        made = self.client(self.east,
                           source=self.minted(tokens.TokenScope.SYSTEM))
        made.version(PROJECT)
        self.east.fault('status', route='volumes.create', count=1,
                        status=401)
        made.create_volume(PROJECT, NEW)
        self.east.set_clock_skew(3600)
        self.assertRaises(errors.Unauthorized, made.version, PROJECT)

    def test_projects_have_credentials_of_their_own(self) -> None:
        admin = self.client(self.east)
        with open(self.east.private_key_file, 'rb') as file:
            pem = _public(file.read())
        admin.create_credential('tenant-a', 'cinder', pem)
        made = self.client(self.east, source=self.minted(
            tokens.TokenScope.PROJECT, 'cinder'))
        made.create_volume('tenant-a', NEW)
        self.assertRaises(errors.Forbidden, made.cluster, 'tenant-a')
        self.assertRaises(errors.Unauthorized, made.version, PROJECT)

    def test_foreign_projects_are_forbidden(self) -> None:
        made = self.client(self.east, source=tokens.StaticToken(
            self.east.token('tenant-a')))
        self.assertRaises(errors.Forbidden, made.create_volume, PROJECT, NEW)

    def test_no_token(self) -> None:
        made = self.client(self.east, source=tokens.NoToken())
        self.assertRaises(errors.Unauthorized, made.version, PROJECT)
        self.east.set_switches(multi_tenancy=False)
        self.assertEqual('v2.0', made.version(PROJECT))

    def test_no_credential_means_nothing_is_sent(self) -> None:
        made = self.client(self.east, source=tokens.FileToken('/absent'))
        error = self.assertRaises(errors.NoCredential, made.version, PROJECT)
        self.assertIn('/absent', str(error))
        self.assertEqual(0, self.east.counters().tcp)


def _public(private: bytes) -> bytes:
    key = serialization.load_pem_private_key(private, None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo)
