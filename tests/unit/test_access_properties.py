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

"""Access lists after any history, and out of any state."""

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

ADDRESSES = st.integers(1, 14).map(lambda last: f'192.0.2.{last}')
HOST_SETS = st.lists(
    st.lists(ADDRESSES, min_size=1, max_size=6, unique=True),
    min_size=1, max_size=6).map(lambda sets: [
        host(f'h{number}', *addresses)
        for number, addresses in enumerate(sets)])


class SequenceTest(base.BaseTestCase):
    """Any history of attachments leaves exactly what they say."""

    @properties.PROPERTY
    @hypothesis.given(HOST_SETS, st.lists(st.tuples(
        st.booleans(), st.integers(0, 5), st.booleans()), max_size=25),
        st.booleans())
    def test_lists_equal_the_attachments(self, hosts, steps, use_ip_acl):
        attached, state = [], volume()
        for come, number, listed in steps:
            one = hosts[number % len(hosts)]
            others = [each for each in attached if each is not one]
            if come:
                attached = [*others, one]
                # Cinder may or may not list the new attachment already.
                state = self._granted(state, one,
                                      attached if listed else others,
                                      use_ip_acl)
            else:
                attached = others
                state = self._revoked(state, one, others, use_ip_acl)
            self._assert_exact(state, attached, use_ip_acl)

    @properties.PROPERTY
    @hypothesis.given(st.lists(st.integers(0, 255), min_size=17,
                               max_size=40, unique=True))
    def test_at_the_limit_nothing_changes(self, lasts):
        attached, state = [], volume()
        for last in lasts:
            one = host(f'h{last}', f'10.0.0.{last}')
            if len(attached) < model.MAX_IP_ACL:
                attached.append(one)
                state = self._granted(state, one, attached, True)
            else:
                self.assertRaises(access.AddressLimitExceeded, access.grant,
                                  state, one, attached, True)
        self._assert_exact(state, attached, True)

    def _granted(self, state, one, attached, use_ip_acl):
        after = applied(state, access.grant(state, one, attached,
                                            use_ip_acl))
        self.assertIsNone(access.grant(after, one, attached, use_ip_acl))
        return after

    def _revoked(self, state, one, remaining, use_ip_acl):
        after = applied(state, access.revoke(state, one, remaining,
                                             use_ip_acl))
        self.assertIsNone(access.revoke(after, one, remaining, use_ip_acl))
        return after

    def _assert_exact(self, state, attached, use_ip_acl):
        self.assertEqual({one.nqn for one in attached}, state.acl)
        if use_ip_acl:
            self.assertEqual({address for one in attached
                              for address in one.addresses}, state.ip_acl)
        else:
            self.assertEqual(ANY if attached else NOBODY, state.ip_acl)


class AnyStateTest(base.BaseTestCase):
    """Whatever the lists hold, nobody who has access loses it."""

    STATES = st.tuples(
        HOST_SETS,
        st.sets(st.integers(0, 8), max_size=6),
        st.sets(st.integers(1, 16), max_size=12) | st.just(None),
        st.sets(st.integers(0, 5)))

    def _unpack(self, drawn):
        """Draw hosts, a volume in any state, and who is attached.

        ACL members beyond the hosts drawn, and hosts that are not attached,
        are strangers.
        """
        hosts, members, lasts, attached = drawn
        state = volume(
            acl=frozenset(nqn(f'h{number}') for number in members),
            ip_acl=ANY if lasts is None else frozenset(
                f'192.0.2.{last}' for last in lasts))
        return hosts, state, [one for number, one in enumerate(hosts)
                              if number in attached]

    def _assert_kept(self, before, after, attached, leaving=None):
        gone = set() if leaving is None else {leaving.nqn}
        self.assertLessEqual(before.acl - gone, after.acl)
        if after.ip_acl == ANY:
            return
        for one in attached:
            if one.nqn not in before.acl - gone:
                continue
            if before.ip_acl == ANY:
                self.assertLessEqual(set(one.addresses), after.ip_acl)
            else:
                self.assertLessEqual(before.ip_acl & one.owned,
                                     after.ip_acl)
        known = {one.nqn for one in attached} | gone
        if before.acl - known:
            self.assertLessEqual(before.ip_acl, after.ip_acl)

    @properties.PROPERTY
    @hypothesis.given(STATES, st.integers(0, 5))
    def test_a_grant_cuts_nobody(self, drawn, number):
        hosts, before, attached = self._unpack(drawn)
        one = hosts[number % len(hosts)]
        try:
            change = access.grant(before, one, attached, True)
        except access.AddressLimitExceeded:
            return
        after = applied(before, change)
        self._assert_kept(before, after, attached,
                          None if one in attached else one)
        self.assertIn(one.nqn, after.acl)
        if after.ip_acl != ANY:
            self.assertLessEqual(set(one.addresses), after.ip_acl)
            self.assertLessEqual(len(after.ip_acl), model.MAX_IP_ACL)
        self.assertIsNone(access.grant(after, one, attached, True))

    @properties.PROPERTY
    @hypothesis.given(STATES, st.integers(0, 5), st.booleans())
    def test_a_revoke_cuts_only_its_host(self, drawn, number, use_ip_acl):
        hosts, before, attached = self._unpack(drawn)
        one = hosts[number % len(hosts)]
        remaining = [each for each in attached if each is not one]
        after = applied(before, access.revoke(before, one, remaining,
                                              use_ip_acl))
        self.assertEqual(before.acl - {one.nqn}, after.acl)
        if after.acl:
            self._assert_kept(before, after, remaining, one)
        else:
            self.assertEqual(NOBODY, after.ip_acl)
        if use_ip_acl:
            self.assertLessEqual(after.ip_acl, before.ip_acl)
        self.assertIsNone(access.revoke(after, one, remaining, use_ip_acl))
