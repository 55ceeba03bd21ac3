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

"""The ledger of bytes promised and not seen yet."""

import threading

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from cinder_lightbits_federation import reservations
from tests.unit import properties

EAST, WEST = 'east', 'west'


def ledger(window=60, history=600):
    return reservations.Reservations(window_seconds=window, history=history)


def recent(held, now):
    """Recent creates by cluster, of those that had any."""
    told = zip((EAST, WEST), held.tallies(((EAST, None), (WEST, None)), now),
               strict=True)
    return {name: tally.recent for name, tally in told if tally.recent}


class Guarded(dict):
    """A dictionary that may be used under a lock only."""

    def __init__(self, lock):
        super().__init__()
        self.lock = lock
        self.touched = set()

    def _check(self, name):
        self.touched.add(name)
        if not self.lock.locked():
            raise AssertionError(f'{name} without the lock')

    def get(self, *args):
        self._check('get')
        return super().get(*args)

    def setdefault(self, *args):
        self._check('setdefault')
        return super().setdefault(*args)


class ReservationsTest(base.BaseTestCase):

    def test_counts_until_released(self):
        held = ledger()
        token = held.reserve(EAST, 10, now=0)
        held.reserve(EAST, 5, now=0)
        held.reserve(WEST, 7, now=0)
        self.assertEqual(15, held.outstanding(EAST, None, 1))
        self.assertEqual(7, held.outstanding(WEST, None, 1))
        held.release(token)
        held.release(token)
        self.assertEqual(5, held.outstanding(EAST, None, 1))
        self.assertEqual(0, held.outstanding('north', None, 1))

    def test_committed_counts_until_it_was_seen(self):
        held = ledger()
        token = held.reserve(EAST, 10, now=0)
        self.assertEqual(10, held.outstanding(EAST, 100, 100))
        held.commit(token, now=5)
        # A reading that began earlier may miss it, a later one does not.
        self.assertEqual(10, held.outstanding(EAST, 4.9, 6))
        self.assertEqual(10, held.outstanding(EAST, 5, 6))
        self.assertEqual(0, held.outstanding(EAST, 5.1, 6))
        self.assertEqual(10, held.outstanding(EAST, None, 6))

    def test_the_first_commit_counts(self):
        held = ledger()
        token = held.reserve(EAST, 10, now=0)
        held.commit(token, now=5)
        held.commit(token, now=50)
        self.assertEqual(0, held.outstanding(EAST, 6, 60))

    def test_what_was_released_cannot_be_committed(self):
        held = ledger()
        token = held.reserve(EAST, 10, now=0)
        held.release(token)
        held.commit(token, now=1)
        self.assertEqual(0, held.outstanding(EAST, None, 2))
        self.assertEqual({}, recent(held, 2))

    def test_what_was_committed_can_be_released(self):
        held = ledger()
        token = held.reserve(EAST, 10, now=0)
        held.commit(token, now=1)
        held.release(token)
        self.assertEqual(0, held.outstanding(EAST, None, 2))

    def test_a_lost_reservation_expires(self):
        held = ledger(history=100)
        held.reserve(EAST, 10, now=0)
        self.assertEqual(10, held.outstanding(EAST, None, 99))
        self.assertEqual(0, held.outstanding(EAST, None, 100))

    def test_a_slow_create_is_counted_when_it_ends(self):
        held = ledger(history=100)
        token = held.reserve(EAST, 10, now=0)
        held.reserve(WEST, 1, now=200)
        held.commit(token, now=201)
        self.assertEqual(10, held.outstanding(EAST, 200, 202))
        self.assertEqual(0, held.outstanding(EAST, 202, 203))

    def test_expired_ones_are_freed(self):
        held = ledger(window=10, history=10)
        for now in range(1000):
            held.reserve(f'cluster-{now}', 1, now=now)
        kept = sum(len(one) for one in held._held.values())
        self.assertLessEqual(kept, 12)
        self.assertEqual(kept, len(held._held))

    def test_recent_creates(self):
        held = ledger(window=60)
        first = held.reserve(EAST, 1, now=0)
        held.reserve(EAST, 1, now=30)
        gone = held.reserve(WEST, 1, now=30)
        held.commit(first, now=40)
        held.release(gone)
        self.assertEqual({EAST: 2}, recent(held, 59))
        self.assertEqual({EAST: 1}, recent(held, 60))
        self.assertEqual({}, recent(held, 90))

    def test_a_window_longer_than_the_history_is_kept(self):
        held = ledger(window=100, history=10)
        held.reserve(EAST, 1, now=0)
        held.reserve(WEST, 1, now=50)
        self.assertEqual({EAST: 1, WEST: 1}, recent(held, 99))

    def test_negative_sizes_are_refused(self):
        self.assertRaises(ValueError, ledger().reserve, EAST, -1, 0)

    @properties.PROPERTY
    @hypothesis.given(st.lists(st.tuples(
        st.sampled_from(('reserve', 'commit', 'release')),
        st.sampled_from((EAST, WEST)),
        st.integers(min_value=0, max_value=1000)), max_size=40),
        st.none() | st.integers(min_value=0, max_value=41))
    def test_agrees_with_a_plain_list(self, steps, observed_at):
        held = ledger()
        tokens, ended, gone = [], {}, set()
        for now, (what, cluster, number) in enumerate(steps):
            if what == 'reserve':
                tokens.append(held.reserve(cluster, number, now=now))
            elif tokens:
                token = tokens[number % len(tokens)]
                if what == 'release':
                    held.release(token)
                    gone.add(token)
                else:
                    held.commit(token, now=now)
                    ended.setdefault(token, now)
        for cluster in (EAST, WEST):
            expected = sum(
                token.size for token in tokens
                if token.cluster_uuid == cluster and token not in gone
                and (token not in ended or observed_at is None
                     or ended[token] >= observed_at))
            self.assertEqual(expected, held.outstanding(
                cluster, observed_at, len(steps)))

    def test_the_ledger_is_only_touched_under_its_lock(self):
        held = ledger()
        # The first reserve prunes, which makes a new dictionary.
        held.release(held.reserve(EAST, 1, now=0))
        held._held = Guarded(held._lock)
        token = held.reserve(EAST, 1, now=0)
        held.commit(token, now=1)
        held.outstanding(EAST, None, 2)
        held.release(token)
        self.assertEqual({'setdefault', 'get'}, held._held.touched)
        self.assertFalse(held._lock.locked())
        self.assertRaises(AssertionError, held._held.get, EAST)

    def test_siblings_are_those_that_nobody_else_counts(self):
        held = ledger()

        def member(volume, *counted, at=0, group='db'):
            return reservations.Member(('p', group), volume,
                                       frozenset(counted), at)

        first = held.reserve(EAST, 1, 0, member('a'))
        second = held.reserve(WEST, 1, 0, member('b'))
        held.reserve(WEST, 1, 0, member('c', group='web'))
        held.reserve(WEST, 1, 0)
        self.assertEqual({EAST: 1, WEST: 1}, held.siblings(member('d')))
        self.assertEqual({WEST: 1}, held.siblings(member('a')))
        self.assertEqual({EAST: 1}, held.siblings(member('d', 'b')))
        held.commit(first, 5)
        self.assertEqual({EAST: 1, WEST: 1},
                         held.siblings(member('d', at=4)))
        self.assertEqual({WEST: 1}, held.siblings(member('d', at=6)))
        held.release(second)
        self.assertEqual({}, held.siblings(member('d', at=6)))
        held.reserve(WEST, 1, 2000)
        self.assertEqual({}, held.siblings(member('d')))

    def test_many_threads(self):
        held = ledger()
        barrier = threading.Barrier(8)
        tokens = []

        def work():
            barrier.wait(timeout=30)
            for count in range(200):
                token = held.reserve(EAST, 3, now=0)
                tokens.append(token)
                if count % 2:
                    held.release(token)

        threads = [threading.Thread(target=work) for _count in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(1600, len({token.number for token in tokens}))
        self.assertEqual(8 * 100 * 3, held.outstanding(EAST, None, 1))
