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

"""Arithmetic on access lists."""

import dataclasses
import ipaddress

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from cinder_lightbits_federation import access
from cinder_lightbits_federation.lightbits import model
from tests.unit.granting import ANY
from tests.unit.granting import applied
from tests.unit.granting import host
from tests.unit.granting import NOBODY
from tests.unit.granting import nqn
from tests.unit.granting import volume
from tests.unit import properties

A = host('a', '192.0.2.1', '2001:db8::1')
B = host('b', '192.0.2.2')
# Behind the same address as B.
C = host('c', '192.0.2.2', '192.0.2.3')
STRANGER = host('x', '198.51.100.9')


class SelectAddressesTest(base.BaseTestCase):

    def test_useless_addresses_are_dropped_and_the_rest_normalised(self):
        self.assertEqual(
            ('9.0.0.1', '10.0.0.2', '192.0.2.7', '2001:db8::1',
             '2001:db8::a'),
            access.select_addresses(
                ['2001:0db8::A', '10.0.0.2', '127.0.0.1', '::1', '0.0.0.0',  # noqa: S104
                 '::', 'fe80::1%eth0', '169.254.1.1', '224.0.0.1',
                 '::ffff:192.0.2.7', '2001:db8::1%eth1', ' 9.0.0.1 ',
                 '10.0.0.2'], ()))

    def test_networks_choose(self):
        networks = (ipaddress.ip_network('10.1.0.0/16'),
                    ipaddress.ip_network('2001:db8::/32'))
        self.assertEqual(
            ('10.1.0.1', '2001:db8::1'),
            access.select_addresses(
                ['10.2.0.1', '2001:db8::1', '10.1.0.1', '2001:db9::1'],
                networks))

    def test_malformed_addresses_are_refused(self):
        for text in ('', 'host.example.org', '192.0.2.1/24', '1.2.3',
                     'ALLOW_ANY', '192.0.2.1,192.0.2.2'):
            error = self.assertRaises(access.InvalidHost,
                                      access.select_addresses, [text], ())
            self.assertIn('host_ips', str(error))

    @properties.PROPERTY
    @hypothesis.given(st.lists(st.ip_addresses().map(str), max_size=20))
    def test_order_and_repetition_do_not_matter(self, texts):
        found = access.select_addresses(texts, ())
        self.assertEqual(found,
                         access.select_addresses(texts[::-1] + texts, ()))
        self.assertEqual(found, access.select_addresses(found, ()))
        self.assertEqual(len(found), len(set(found)))
        versions = [ipaddress.ip_address(text).version for text in found]
        self.assertEqual(sorted(versions), versions)


class HostAccessTest(base.BaseTestCase):

    def test_from_a_connector(self):
        found = access.HostAccess.of(
            nqn('a'), ['10.2.0.1', '10.1.0.1', '127.0.0.1'],
            [ipaddress.ip_network('10.1.0.0/16')], 'compute-1')
        self.assertEqual(('10.1.0.1',), found.addresses)
        self.assertEqual(('10.2.0.1',), found.others)
        self.assertEqual('compute-1', found.host)
        self.assertEqual({'10.1.0.1', '10.2.0.1'}, found.owned)

    def test_a_keyword_is_no_host(self):
        for text in (model.ALLOW_ANY, model.ALLOW_NONE, '', 'nqn.',
                     'nqn.2014-08.org.x:a b', 'nqn.2014-08.org.x:a\n',
                     'nqn.' + 'x' * 220):
            error = self.assertRaises(access.InvalidHost,
                                      access.HostAccess, text, ())
            self.assertIn('nqn', str(error))


class GrantTest(base.BaseTestCase):

    def test_the_first_host_replaces_nobody(self):
        change = access.grant(volume(), A, [], True)
        self.assertEqual(
            model.VolumeChange(acl=frozenset({A.nqn}),
                               ip_acl=frozenset(A.addresses)), change)

    def test_a_second_host_is_added(self):
        change = access.grant(volume(A), B, [A], True)
        self.assertEqual({A.nqn, B.nqn}, change.acl)
        self.assertEqual({*A.addresses, *B.addresses}, change.ip_acl)

    def test_a_host_that_has_access(self):
        for attached in ([], [A]):
            self.assertIsNone(access.grant(volume(A), A, attached, True))

    def test_without_ip_acl(self):
        change = access.grant(volume(), host('a'), [], False)
        self.assertEqual(ANY, change.ip_acl)
        self.assertIsNone(access.grant(
            volume(A, ip_acl=ANY), A, [], False))
        self.assertEqual(ANY, access.grant(volume(A), B, [A], False).ip_acl)

    def test_no_usable_address(self):
        error = self.assertRaises(
            access.NoUsableAddress, access.grant, volume(),
            host('compute-1', others=('10.2.0.1',)), [], True)
        for word in ('compute-1', '10.2.0.1', 'lightbits_data_networks'):
            self.assertIn(word, str(error))
        self.assertNotIn(nqn('compute-1'), str(error))

    def test_a_host_without_a_name_is_told_by_its_nqn(self):
        nameless = access.HostAccess(nqn('x'), ())
        error = self.assertRaises(access.NoUsableAddress, access.grant,
                                  volume(), nameless, [], True)
        self.assertIn(nqn('x'), str(error))
        many = access.HostAccess(nqn('x'), tuple(
            f'192.0.2.{last}' for last in range(1, 18)))
        error = self.assertRaises(access.AddressLimitExceeded, access.grant,
                                  volume(), many, [], True)
        self.assertIn(nqn('x'), str(error))

    def test_too_many_addresses_cut_nobody(self):
        many = host('a', *(f'192.0.2.{last}' for last in range(1, 11)))
        more = host('compute-2', *(f'192.0.2.{last}'
                                   for last in range(11, 18)))
        error = self.assertRaises(access.AddressLimitExceeded, access.grant,
                                  volume(many), more, [many], True)
        self.assertEqual((17, 16), (error.count, error.limit))
        for word in ('compute-2', '17', '16', 'lightbits_data_networks'):
            self.assertIn(word, str(error))
        self.assertNotIn(more.nqn, str(error))
        # Sixteen fit.
        fits = dataclasses.replace(more, addresses=more.addresses[:-1])
        self.assertEqual(16, len(access.grant(volume(many), fits, [many],
                                              True).ip_acl))

    def test_one_host_with_too_many_addresses(self):
        many = host('a', *(f'192.0.2.{last}' for last in range(1, 18)))
        self.assertRaises(access.AddressLimitExceeded, access.grant,
                          volume(), many, [], True)

    def test_left_over_addresses_go_when_everybody_is_known(self):
        before = volume(A, ip_acl=frozenset(A.addresses) | {'203.0.113.1'})
        self.assertEqual({*A.addresses, *B.addresses},
                         access.grant(before, B, [A], True).ip_acl)

    def test_left_over_addresses_make_room(self):
        stale = frozenset(f'203.0.113.{last}' for last in range(1, 15))
        before = volume(A, ip_acl=stale | frozenset(A.addresses))
        self.assertEqual({*A.addresses, *B.addresses},
                         access.grant(before, B, [A], True).ip_acl)

    def test_a_strangers_addresses_stay(self):
        before = volume(A, STRANGER)
        change = access.grant(before, B, [A], True)
        self.assertEqual({A.nqn, B.nqn, STRANGER.nqn}, change.acl)
        self.assertEqual(before.ip_acl | set(B.addresses), change.ip_acl)

    def test_a_host_known_by_no_address_is_a_stranger(self):
        before = volume(acl=frozenset({A.nqn}),
                        ip_acl=frozenset({'203.0.113.1'}))
        self.assertEqual({'203.0.113.1', *B.addresses},
                         access.grant(before, B, [A], True).ip_acl)

    def test_an_address_off_the_networks_stays_while_attached(self):
        moved = host('a', '192.0.2.1', others=('10.0.0.1',))
        before = volume(acl=frozenset({moved.nqn}),
                        ip_acl=frozenset({'10.0.0.1'}))
        self.assertEqual({'10.0.0.1', *B.addresses},
                         access.grant(before, B, [moved], True).ip_acl)

    def test_an_open_ip_acl_is_closed_around_known_hosts(self):
        change = access.grant(volume(A, ip_acl=ANY), B, [A], True)
        self.assertEqual({*A.addresses, *B.addresses}, change.ip_acl)

    def test_an_open_ip_acl_stays_open_for_a_stranger(self):
        change = access.grant(volume(A, STRANGER, ip_acl=ANY), B, [A], True)
        self.assertEqual(ANY, change.ip_acl)

    def test_a_volume_open_to_all_stays_so(self):
        before = volume(acl=ANY, ip_acl=ANY)
        self.assertIsNone(access.grant(before, A, [], True))
        self.assertIsNone(access.grant(before, A, [], False))


class RevokeTest(base.BaseTestCase):

    def test_the_last_host_leaves_nobody(self):
        for use_ip_acl in (True, False):
            self.assertEqual(
                model.VolumeChange(acl=NOBODY, ip_acl=NOBODY),
                access.revoke(volume(A), A, [], use_ip_acl))

    def test_another_host_stays(self):
        change = access.revoke(volume(A, B), A, [B], True)
        self.assertEqual({B.nqn}, change.acl)
        self.assertEqual(set(B.addresses), change.ip_acl)

    def test_a_shared_address_stays(self):
        change = access.revoke(volume(B, C), B, [C], True)
        self.assertEqual(set(C.addresses), change.ip_acl)
        change = access.revoke(volume(B, C), C, [B], True)
        self.assertEqual(set(B.addresses), change.ip_acl)

    def test_a_host_attached_twice_stays(self):
        self.assertIsNone(access.revoke(volume(A), A, [A], True))

    def test_a_host_that_has_no_access(self):
        self.assertIsNone(access.revoke(volume(B), A, [B], True))
        self.assertIsNone(access.revoke(volume(), A, [], True))

    def test_without_ip_acl(self):
        change = access.revoke(volume(A, B, ip_acl=ANY), A, [B], False)
        self.assertEqual(({B.nqn}, ANY), (change.acl, change.ip_acl))

    def test_an_open_ip_acl_is_left_to_the_next_grant(self):
        change = access.revoke(volume(A, B, ip_acl=ANY), A, [B], True)
        self.assertEqual(ANY, change.ip_acl)

    def test_nothing_is_taken_while_a_stranger_is_there(self):
        before = volume(A, STRANGER)
        change = access.revoke(before, A, [], True)
        self.assertEqual({STRANGER.nqn}, change.acl)
        self.assertEqual(before.ip_acl, change.ip_acl)

    def test_what_a_stranger_held_back_goes_later(self):
        left = applied(volume(A, B, STRANGER), access.revoke(
            volume(A, B, STRANGER), A, [B], True))
        known = [B, STRANGER]
        self.assertEqual(
            {*B.addresses, *STRANGER.addresses, *C.addresses},
            access.grant(left, C, known, True).ip_acl)

    def test_a_volume_open_to_all_stays_so(self):
        self.assertIsNone(access.revoke(volume(acl=ANY, ip_acl=ANY), A, [],
                                        True))


class RevokeAllTest(base.BaseTestCase):

    def test_everybody_goes(self):
        closed = model.VolumeChange(acl=NOBODY, ip_acl=NOBODY)
        for before in (volume(A, STRANGER), volume(acl=ANY, ip_acl=ANY),
                       volume(ip_acl=ANY)):
            self.assertEqual(closed, access.revoke_all(before))
        self.assertIsNone(access.revoke_all(volume()))


class ConformTest(base.BaseTestCase):

    def test_attachments_decide(self):
        for before in (volume(A), volume(A, B, STRANGER),
                       volume(acl=ANY, ip_acl=ANY), volume(B, ip_acl=ANY),
                       volume()):
            change = access.conform(before, [A, B], [], True)
            after = applied(before, change)
            self.assertEqual(({A.nqn, B.nqn}, A.owned | B.owned),
                             (after.acl, after.ip_acl))
            self.assertIsNone(access.conform(after, [A, B], [], True))

    def test_who_comes_or_goes_keeps_what_he_has(self):
        after = applied(volume(A, B, STRANGER), access.conform(
            volume(A, B, STRANGER), [A], [B, C], True))
        self.assertEqual(({A.nqn, B.nqn}, A.owned | B.owned),
                         (after.acl, after.ip_acl))
        after = applied(volume(B, ip_acl=ANY), access.conform(
            volume(B, ip_acl=ANY), [A], [B, C], True))
        self.assertEqual(A.owned | B.owned, after.ip_acl)

    def test_nobody(self):
        closed = model.VolumeChange(acl=NOBODY, ip_acl=NOBODY)
        self.assertEqual(closed,
                         access.conform(volume(A, B), [], [C], True))

    def test_addresses_do_not_matter(self):
        after = applied(volume(B), access.conform(volume(B), [A], [], False))
        self.assertEqual(({A.nqn}, ANY), (after.acl, after.ip_acl))

    def test_what_cannot_be(self):
        self.assertRaises(access.NoUsableAddress, access.conform,
                          volume(), [host('n')], [], True)
        many = host('m', *(f'192.0.2.{number}' for number in range(10, 30)))
        self.assertRaises(access.AddressLimitExceeded, access.conform,
                          volume(), [many], [], True)


class ReaddressTest(base.BaseTestCase):

    def test_old_addresses_that_others_have_stay(self):
        before = volume(B, C)
        moved = dataclasses.replace(B, addresses=('192.0.2.50',))
        after = applied(before, access.readdress(before, moved, B.owned, [C],
                                                 True))
        self.assertEqual({'192.0.2.50', *C.owned}, after.ip_acl)
        self.assertEqual(before.acl, after.acl)
        self.assertIsNone(access.readdress(after, moved, B.owned, [C], True))

    def test_nothing_to_do(self):
        for before, use in ((volume(A), True), (volume(B, ip_acl=ANY), True),
                            (volume(B), False)):
            self.assertIsNone(access.readdress(before, B, NOBODY, [], use))
        self.assertRaises(access.NoUsableAddress, access.readdress,
                          volume(B), dataclasses.replace(B, addresses=()),
                          NOBODY, [], True)


class MovingTest(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.closed = applied(volume(ip_acl=ANY), access.close(
            volume(ip_acl=ANY)))

    def test_closed_to_everybody(self):
        self.assertEqual(({access.MOVING}, NOBODY),
                         (self.closed.acl, self.closed.ip_acl))
        self.assertIsNone(access.close(self.closed))
        self.assertRaises(access.BeingMoved, access.grant, self.closed, A,
                          [], True)

    def test_no_detach_opens_it(self):
        for change in (access.revoke(self.closed, A, [], True),
                       access.revoke(self.closed, A, [B], False),
                       access.revoke_all(self.closed)):
            self.assertIsNone(change)

    def test_who_gets_in_all_the_same_leaves_it_closed(self):
        opened = dataclasses.replace(
            self.closed, acl=self.closed.acl | {A.nqn}, ip_acl=ANY)
        for use_ip_acl in (True, False):
            self.assertEqual(self.closed, applied(opened, access.revoke(
                opened, A, [], use_ip_acl)))

    def test_opened_again(self):
        after = applied(self.closed, access.reopen(self.closed))
        self.assertEqual(NOBODY, after.acl)
        self.assertIsNone(access.reopen(after))

    def test_a_repair_opens_it(self):
        self.assertEqual(NOBODY, applied(self.closed, access.conform(
            self.closed, [], [], True)).acl)


class SealTest(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        bare = volume()
        self.sealed = applied(bare, access.seal(bare))

    def test_it_is_seen(self):
        self.assertTrue(access.sealed(self.sealed))
        self.assertIsNone(access.seal(self.sealed))

    def test_nobodys_access_leaves_it(self):
        for use_ip_acl in (True, False):
            there = applied(self.sealed, access.grant(
                self.sealed, A, [], use_ip_acl))
            self.assertNotIn(access.SEAL, there.ip_acl)
            gone = applied(there, access.revoke(there, A, [], use_ip_acl))
            self.assertFalse(access.sealed(gone))

    def test_it_is_taken_away(self):
        opened = applied(self.sealed, access.reopen(self.sealed))
        self.assertFalse(access.sealed(opened))
        self.assertIsNone(access.reopen(opened))
