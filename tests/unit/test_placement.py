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

"""Choosing a cluster: filters, weights, and properties of the choice."""

import dataclasses

from oslotest import base

from cinder_lightbits_federation import capacity
from cinder_lightbits_federation import placement
from tests.unit.placing import choose
from tests.unit.placing import Connection
from tests.unit.placing import GIB
from tests.unit.placing import names
from tests.unit.placing import POLICY_UUID
from tests.unit.placing import request
from tests.unit.placing import room
from tests.unit.placing import State
from tests.unit.placing import UUIDS
from tests.unit.placing import view


class FilterTest(base.BaseTestCase):
    """Each filter lets one cluster pass and tells why not the other."""

    def _only_east(self, wanted, east, west, reason):
        decision = choose(wanted, [east, west])
        self.assertEqual(['east'], names(decision))
        self.assertEqual(
            [(UUIDS['west'], 'west', reason)],
            [dataclasses.astuple(one) for one in decision.rejected])

    def test_admin_state(self):
        for state, reason in ((State.DISABLED, 'disabled'),
                              (State.DRAINING, 'draining'),
                              (State.LOST, 'lost')):
            self._only_east(request(), view('east'),
                            view('west', admin_state=state), reason)

    def test_connection(self):
        for connection in Connection:
            if connection is not Connection.CONNECTED:
                self._only_east(
                    request(), view('east'),
                    view('west', connection=connection, reason='timed out'),
                    f'{connection.value}: timed out')
        self._only_east(
            request(), view('east'),
            view('west', connection=Connection.CONNECTING), 'connecting')

    def test_pin(self):
        for text in ('east', UUIDS['east'], '!west', '!' + UUIDS['west']):
            self._only_east(
                request(extra_specs={'lightos:cluster': text}),
                view('east'), view('west'),
                'not admitted by lightos:cluster')

    def test_only_and_exclude(self):
        self._only_east(request(only=frozenset({UUIDS['east']})),
                        view('east'), view('west'),
                        'not among the clusters asked for')
        self._only_east(request(exclude={UUIDS['west']: 'refused it: full'}),
                        view('east'), view('west'), 'refused it: full')

    def test_project(self):
        self._only_east(
            request(project='blue'),
            view('east', projects=frozenset({'blue'})),
            view('west', projects=frozenset({'red'})), 'no project blue')

    def test_qos_policy(self):
        for text in ('gold', POLICY_UUID):
            self._only_east(
                request(extra_specs={'lightos:qos_policy': text}),
                view('east', qos_policies={'gold': POLICY_UUID}),
                view('west', qos_policies={'silver': UUIDS['west']}),
                f'no QoS policy {text}')
        # A name that looks like nothing else is never taken for a UUID.
        self._only_east(
            request(extra_specs={'lightos:qos_policy': POLICY_UUID}),
            view('east', qos_policies={'gold': POLICY_UUID}),
            view('west', qos_policies={POLICY_UUID: UUIDS['west']}),
            f'no QoS policy {POLICY_UUID}')

    def test_replicas(self):
        self._only_east(request(replicas=3), view('east', max_replicas=3),
                        view('west', max_replicas=2),
                        '3 replicas asked for, it serves 2 now')

    def test_failure_domain(self):
        wanted = request(replicas=1, extra_specs={
            'lightos:failure_domain': 'r1',
            'lightos:primary_failure_domain': 'r2'})
        self._only_east(
            wanted, view('east', failure_domains=frozenset({'r1', 'r2'})),
            view('west', failure_domains=frozenset({'r1', 'r3'})),
            'no failure domain r2')

    def test_facts_that_may_not_be_read_pass(self):
        wanted = request(replicas=1, extra_specs={
            'lightos:qos_policy': 'gold', 'lightos:failure_domain': 'r1'})
        self.assertEqual(['east'], names(choose(wanted, [view('east')])))

    def test_room(self):
        # 980 + 20 fits exactly, with replicas and reservations counted.
        self._only_east(
            request(10, 2), view('east', capacity=room(970),
                                 reserved=10 * GIB),
            view('west', capacity=room(970), reserved=10 * GIB + 1),
            'needs 20 GiB with replicas, has room for 19')

    def test_room_is_reserve_and_over_subscription(self):
        policy = placement.PlacementPolicy(max_over_subscription=2.5,
                                           reserved_percentage=20)
        fits = view('east', capacity=room(1980))
        full = view('west', capacity=room(1981))
        decision = choose(request(10, 2), [fits, full], policy)
        self.assertEqual(['east'], names(decision))

    def test_physically_full(self):
        policy = placement.PlacementPolicy(reserved_percentage=10)
        decision = choose(request(), [
            view('east', capacity=room(0, 1000, 101)),
            view('west', capacity=room(0, 1000, 100))], policy)
        self.assertEqual(['east'], names(decision))
        self.assertEqual('physically full', decision.rejected[0].reason)

    def test_spread(self):
        wanted = request(extra_specs={'lightos:spread_group': 'db'},
                         spread_counts={UUIDS['west']: 1})
        # The emptier cluster loses to the one without the group.
        self._only_east(wanted, view('east', capacity=room(500)),
                        view('west'), 'spread group db has 1 volumes here '
                                      'and 0 elsewhere')
        full = view('east', capacity=room(1000))
        self.assertEqual(['west'], names(choose(wanted,
                                                [full, view('west')])))

    def test_counts_without_a_group_say_nothing(self):
        self.assertEqual(['west'], names(choose(
            request(spread_counts={UUIDS['west']: 9}), [view('west')])))

    def test_clusters_never_reached_share_no_identity(self):
        dark = [dataclasses.replace(
            view(name, connection=Connection.CONNECTING, capacity=None),
            uuid='') for name in ('west', 'north')]
        decision = choose(request(), [*dark, view('east')])
        self.assertEqual(['east'], names(decision))
        self.assertEqual(['north', 'west'],
                         [one.name for one in decision.rejected])

    def test_the_first_reason_is_told(self):
        lost = view('west', admin_state=State.LOST,
                    connection=Connection.DISCONNECTED, capacity=room(1000))
        self.assertEqual('lost', choose(request(), [lost])
                         .rejected[0].reason)


class CloneTest(base.BaseTestCase):

    WANTED = request(for_clone=True, only=frozenset({UUIDS['east']}))

    def test_stays_on_a_disabled_or_draining_cluster(self):
        for state in (State.DISABLED, State.DRAINING):
            decision = choose(self.WANTED, [
                view('east', admin_state=state), view('west')])
            self.assertEqual(['east'], names(decision))
            self.assertEqual('not the cluster of its source',
                             decision.rejected[0].reason)

    def test_not_on_a_lost_or_silent_one(self):
        for east in (view('east', admin_state=State.LOST),
                     view('east', connection=Connection.DISCONNECTED)):
            self.assertEqual((), choose(self.WANTED, [east]).ranked)

    def test_needs_no_space_but_a_promise(self):
        full = view('east', capacity=room(0, 1000, 0))
        self.assertEqual(['east'], names(choose(self.WANTED, [full])))
        promised = view('east', capacity=room(981))
        self.assertEqual([], names(choose(self.WANTED, [promised])))

    def test_a_clone_has_a_source(self):
        self.assertRaises(ValueError, request, for_clone=True)


class RequestTest(base.BaseTestCase):

    def test_nonsense_is_refused(self):
        self.assertRaises(ValueError, request, size=0)
        self.assertRaises(ValueError, request, replicas=0)
        for field, value in (('max_over_subscription', 0.9),
                             ('max_over_subscription', float('nan')),
                             ('max_over_subscription', float('inf')),
                             ('reserved_percentage', 100),
                             ('reserved_percentage', -1),
                             ('max_create_share', 0),
                             ('max_create_share', 1.1), ('tie_band', -0.1),
                             ('share_window_min', 0)):
            error = self.assertRaises(ValueError, placement.PlacementPolicy,
                                      **{field: value})
            self.assertIn(field, str(error))


class WeightTest(base.BaseTestCase):

    def test_the_emptiest_first(self):
        decision = choose(request(), [
            view('north', capacity=room(300)),
            view('east', capacity=room(100)),
            # Bigger, so emptier, though it holds more.
            view('west', capacity=room(500, 10000))])
        self.assertEqual(['west', 'east', 'north'], names(decision))
        self.assertEqual((520 / 10000, 120 / 1000, 320 / 1000),
                         tuple(one.ratio for one in decision.ranked))

    def test_reservations_count(self):
        self.assertEqual(['west', 'east'], names(choose(request(), [
            view('east', capacity=room(100), reserved=50 * GIB),
            view('west', capacity=room(120))])))

    def test_near_ties_are_shuffled_and_others_are_not(self):
        views = [view('east', capacity=room(100)),
                 view('west', capacity=room(101)),
                 view('north', capacity=room(103))]
        first = {names(choose(request(), views, seed=seed))[0]
                 for seed in range(50)}
        self.assertEqual({'east', 'west'}, first)

    def test_last_come_upgrades_and_unknown_capacity(self):
        decision = choose(request(), [
            view('east', capacity=None),
            view('north', upgrading=True),
            view('south', capacity=room(900)),
            view('west', upgrading=True, capacity=None)])
        self.assertEqual(['south', 'north', 'east', 'west'],
                         names(decision))
        self.assertEqual(
            ['', 'upgrading', 'capacity unknown',
             'capacity unknown, upgrading'],
            [one.note for one in decision.ranked])

    def test_of_unknown_capacity_the_least_loaded_first(self):
        def known(size):
            return capacity.Capacity(provisioned=size * GIB,
                                     source=capacity.Source.VOLUMES)
        for seed in range(10):
            self.assertEqual(['west', 'east', 'north'], names(choose(
                request(), [view('north', capacity=known(300)),
                            view('east', capacity=known(100),
                                 reserved=100 * GIB),
                            view('west', capacity=known(150))],
                seed=seed)))

    def test_of_unknown_capacity_near_ties_are_shuffled_too(self):
        views = [view(name, capacity=None, reserved=load * GIB)
                 for name, load in (('east', 100), ('west', 1000),
                                    ('north', 1001), ('south', 1010))]
        orders = {tuple(names(choose(request(), views, seed=seed)))
                  for seed in range(50)}
        self.assertEqual({('east', 'west', 'north', 'south'),
                          ('east', 'north', 'west', 'south')}, orders)

    def test_load_is_all_that_is_promised(self):
        self.assertEqual(0, view('east', capacity=None).load)
        self.assertEqual(7, view('east', capacity=None, reserved=7).load)
        east = view('east', capacity=room(400), reserved=100 * GIB)
        self.assertEqual(500 * GIB, east.load)
        self.assertEqual(0.5, east.ratio())
        self.assertEqual(0.75, east.ratio(250 * GIB))

    def test_of_two_one_can_have_had_its_share(self):
        policy = placement.PlacementPolicy(max_create_share=0.5,
                                           share_window_min=10)
        decision = choose(request(), [
            view('east', recent_creates=18),
            view('west', recent_creates=2, capacity=room(500))], policy)
        self.assertEqual(['west', 'east'], names(decision))
        self.assertEqual('had its share', decision.ranked[1].note)

    def test_a_new_one_of_two_may_catch_up(self):
        policy = placement.PlacementPolicy(max_create_share=0.5,
                                           share_window_min=10)
        decision = choose(request(), [
            view('east', recent_creates=17),
            view('west', recent_creates=3, capacity=room(500))], policy)
        self.assertEqual(['east', 'west'], names(decision))
        self.assertEqual('', decision.ranked[0].note)

    def test_a_cluster_that_had_its_share_waits(self):
        policy = placement.PlacementPolicy(max_create_share=0.5,
                                           share_window_min=10)
        for recent, expected in (((5, 5), 'west'), ((4, 6), 'east'),
                                 # Too few to say anything.
                                 ((9, 0), 'east')):
            views = [view('east', recent_creates=recent[0]),
                     view('west', recent_creates=recent[1],
                          capacity=room(500)),
                     view('north', capacity=room(900)),
                     view('south', capacity=room(950))]
            if recent == (5, 5):
                views[1] = dataclasses.replace(views[1], recent_creates=4)
                views[2] = dataclasses.replace(views[2], recent_creates=1)
            decision = choose(request(), views, policy)
            self.assertEqual(expected, names(decision)[0], recent)

    def test_the_share_does_not_matter_to_the_only_one(self):
        policy = placement.PlacementPolicy(max_create_share=0.5)
        decision = choose(request(), [view('east', recent_creates=100)],
                          policy)
        self.assertEqual('', decision.ranked[0].note)

    def test_a_share_of_one_is_no_cap(self):
        decision = choose(request(), [view('east', recent_creates=100),
                                      view('west', capacity=room(500))])
        self.assertEqual(['east', 'west'], names(decision))


class DecisionTest(base.BaseTestCase):

    def test_explains_itself_in_one_line(self):
        decision = choose(request(), [
            view('east', capacity=room(292)),
            view('west', capacity=room(300), upgrading=True),
            view('north', capacity=room(481)),
            view('south', connection=Connection.DISCONNECTED,
                 reason='refused\nby  peer')])
        self.assertEqual(
            'chosen=east ratio=0.312 candidates=north:0.501,'
            'west:0.320(upgrading) '
            'rejected=south(disconnected: refused by peer)',
            decision.explain())

    def test_explains_that_there_is_none(self):
        self.assertEqual('chosen=none candidates=- rejected=-',
                         choose(request(), []).explain())
        self.assertEqual(
            'chosen=east ratio=unknown note=capacity unknown candidates=- '
            'rejected=-',
            choose(request(), [view('east', capacity=None)]).explain())

    def test_the_largest_volume_is_of_clusters_that_fit_otherwise(self):
        decision = choose(request(400, 2), [
            view('east', capacity=room(500)),
            view('north', capacity=room(600)),
            view('west', connection=Connection.DISCONNECTED)])
        self.assertEqual((), decision.ranked)
        self.assertEqual(250 * GIB, decision.largest)
        self.assertEqual(0, choose(request(), []).largest)
