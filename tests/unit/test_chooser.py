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

"""What is kept between placements changes none of them."""

import dataclasses
import itertools
import random

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from cinder_lightbits_federation import fitness
from cinder_lightbits_federation import pictures
from cinder_lightbits_federation import placement
from cinder_lightbits_federation import reservations
from cinder_lightbits_federation import room
from tests.unit import placing
from tests.unit import properties


def rejections(views, reason):
    told = [(view, reason(view)) for view in views]
    return [placement.Rejection(view.uuid, view.name, why)
            for view, why in told if why is not None]


def left(views, gone):
    names = {one.uuid for one in gone}
    return [view for view in views if view.uuid not in names]


def crowded(views, request):
    group, counts = request.spec.spread_group, request.spread_counts
    fewest = min((counts.get(view.uuid, 0) for view in views), default=0)
    return rejections(views, lambda view: (
        f'spread group {group} has {counts[view.uuid]} volumes here and '
        f'{fewest} elsewhere'
        if group and counts.get(view.uuid, 0) > fewest else None))


def had_share(view, candidates, everyone, policy):
    total = sum(one.recent_creates for one in everyone)
    return (policy.max_create_share < 1 and len(candidates) > 1
            and total >= policy.share_window_min
            and view.recent_creates >= total * max(
                policy.max_create_share,
                placement.CATCH_UP / len(candidates)))


def plain(request, views, policy, lots):
    """The decision, found by looking at everything."""
    unfit = rejections(views, lambda view: fitness.first_reason(
        fitness.FITNESS, view, request, policy))
    fit = left(views, unfit)
    full = rejections(fit, lambda view: fitness.first_reason(
        fitness.ROOM, view, request, policy))
    roomy = left(fit, full)
    many = crowded(roomy, request)
    candidates = left(roomy, many)
    heaviest = max((view.load for view in candidates), default=0) or 1
    waiting = []
    for view in candidates:
        ratio = view.ratio(request.needed)
        tier = (ratio is None, view.upgrading,
                had_share(view, candidates, views, policy))
        note = ', '.join(itertools.compress(
            ('capacity unknown', 'upgrading', 'had its share'), tier))
        waiting.append((
            tier, view.load / heaviest if ratio is None else ratio,
            placement.Candidate(view.uuid, view.name, ratio, note)))
    ranked = []
    while waiting:
        tier, score = min(one[:2] for one in waiting)
        band = [one for one in waiting
                if one[0] == tier and one[1] <= score + policy.tie_band]
        waiting = [one for one in waiting if one not in band]
        ranked += sorted((one[2] for one in band),
                         key=lambda one: (lots[one.uuid], one.uuid))
    return placement.Decision(
        tuple(ranked),
        tuple(sorted(unfit + full + many,
                     key=lambda one: (one.name, one.uuid))),
        max((room.largest_on(view, request.replicas, policy)
             for view in fit), default=0))


# Clusters that are well, so that all of them compete.
WELL = {name: placing.FACTS[name] for name in (
    'capacity', 'reserved', 'upgrading', 'recent_creates')}
FLEETS = placing.fleets(placing.FACTS) | placing.fleets(WELL)
SHARED_OUT = st.builds(placement.PlacementPolicy,
                       max_create_share=st.floats(0.1, 0.5),
                       share_window_min=st.just(1))
VARIATIONS = (
    lambda draw: {},
    lambda draw: {'size': draw(st.integers(1, 500)) * placing.GIB},
    lambda draw: {'replicas': draw(st.integers(1, 3))},
    lambda draw: {'only': draw(st.none() | placing.UUID_SETS)},
    lambda draw: {'only': draw(placing.UUID_SETS), 'for_clone': True},
    lambda draw: {'exclude': dict.fromkeys(
        draw(placing.UUID_SETS), draw(st.sampled_from(('down', 'full'))))},
    lambda draw: {'spread_counts': dict.fromkeys(
        draw(placing.UUID_SETS), 1)},
    lambda draw: {'project': draw(st.sampled_from(('default', 'p')))})


@st.composite
def alike(draw, request):
    """A request that differs in one thing, or in none."""
    other = draw(st.sampled_from(VARIATIONS))(draw)
    return dataclasses.replace(request, **other)


class ChooserTest(base.BaseTestCase):

    @properties.PROPERTY
    @hypothesis.given(FLEETS, placing.REQUESTS,
                      placing.POLICIES | SHARED_OUT, st.integers(), st.data())
    def test_decides_as_if_it_saw_everything_anew(self, views, request,
                                                  policy, seed, data):
        chooser = placement.Chooser()
        for step in range(data.draw(st.integers(2, 10))):
            wanted = data.draw(alike(request))
            lots = placement.draw((one.uuid for one in views),
                                  random.Random(seed + step // 2))
            decision = chooser.choose(wanted, views, policy, lots)
            expected = plain(wanted, views, policy, lots)
            self.assertEqual(expected, decision)
            self.assertEqual(expected.explain(), str(decision))
            views = data.draw(placing.changed(views, WELL))

    def test_another_policy(self):
        chooser, wanted = placement.Chooser(), placing.request(600)
        views = [placing.view('east'), placing.view('west')]
        lots = dict.fromkeys(placing.UUIDS.values(), 0.5)
        for over in (1.0, 2.0, 1.0):
            policy = placement.PlacementPolicy(max_over_subscription=over)
            self.assertEqual(plain(wanted, views, policy, lots),
                             chooser.choose(wanted, views, policy, lots))

    def test_unmeasured_clusters_beside_one_that_gets_fuller(self):
        chooser, wanted = placement.Chooser(), placing.request()
        lots = {placing.UUIDS[name]: lot for name, lot in (
            ('east', 0.1), ('west', 0.2), ('north', 0.3))}
        steady = [placing.view(name, capacity=None, reserved=reserved)
                  for name, reserved in (('west', 10), ('east', 12))]
        seen = set()
        for load in (1, 10**6, 2):
            views = [*steady, placing.view('north', capacity=None,
                                           reserved=load)]
            decision = chooser.choose(wanted, views, placing.POLICY, lots)
            self.assertEqual(plain(wanted, views, placing.POLICY, lots),
                             decision)
            seen.add(tuple(placing.names(decision)))
        self.assertEqual(2, len(seen), seen)

    def test_a_share_that_others_make_small(self):
        chooser, wanted = placement.Chooser(), placing.request()
        policy = placement.PlacementPolicy(max_create_share=0.5,
                                           share_window_min=1)
        lots = dict.fromkeys(placing.UUIDS.values(), 0.5)
        steady = [placing.view('east', recent_creates=10),
                  placing.view('north', recent_creates=0)]
        for others, note in ((10, ''), (0, 'had its share'), (10, '')):
            views = [*steady, placing.view('west', recent_creates=others)]
            decision = chooser.choose(wanted, views, policy, lots)
            self.assertEqual(plain(wanted, views, policy, lots), decision)
            self.assertEqual([note], [one.note for one in decision.ranked
                                      if one.name == 'east'])

    @properties.PROPERTY
    @hypothesis.given(FLEETS, placing.POLICIES | SHARED_OUT,
                      st.lists(st.integers(1, 100), min_size=1, max_size=40))
    def test_many_sizes(self, views, policy, sizes):
        chooser = placement.Chooser()
        lots = placement.draw((one.uuid for one in views), random.Random(1))
        for size in sizes * 2:
            wanted = placing.request(size)
            self.assertEqual(plain(wanted, views, policy, lots),
                             chooser.choose(wanted, views, policy, lots))


class Cluster:
    """What pictures are taken of."""

    def __init__(self, seen):
        self.look(seen)
        self.name = seen.name

    def look(self, seen):
        self.seen = seen
        self.edition = object()

    def view(self, reserved, recent_creates, unknown_to):
        return dataclasses.replace(
            self.seen, reserved=reserved, recent_creates=recent_creates,
            unknown_to=unknown_to)


def counted(ledger, view, now):
    """A tally made of all reservations anew."""
    fresh = reservations.Reservations(20, 40)
    held = ledger._held.get(view.uuid)
    if held is not None:
        fresh._held[view.uuid] = reservations._Book(held.entries.values())
    return fresh.tallies([(view.uuid, view.observed_at)], now)[0]


class PicturesTest(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.taken = pictures.Pictures()
        self.ledger = reservations.Reservations(20, 40)

    def take(self, clusters, strangers, now):
        """Take pictures; those of a second camera must be the same."""
        views = self.taken.take(clusters, strangers, self.ledger, now)
        self.assertEqual(tuple(one.seen.uuid for one in clusters),
                         self.taken.uuids)
        self.assertEqual([cluster.view(
            *counted(self.ledger, cluster.seen, now),
            strangers.get(cluster.name, ())) for cluster in clusters],
            list(views))
        return views

    @properties.PROPERTY
    @hypothesis.given(placing.fleets(placing.FACTS), st.data())
    def test_shows_what_is(self, views, data):
        self.taken = pictures.Pictures()
        self.ledger = reservations.Reservations(20, 40)
        clusters = tuple(Cluster(dataclasses.replace(
            one, reserved=0, recent_creates=0)) for one in views)
        held, strangers = [], {}
        for now in range(0, 8 * data.draw(st.integers(1, 6)), 8):
            self.take(clusters, strangers, now)
            if not clusters:
                return
            cluster = data.draw(st.sampled_from(clusters))
            what = data.draw(st.integers(0, 5))
            if what == 0:
                held.append(self.ledger.reserve(cluster.seen.uuid, 7, now))
            elif what == 1 and held:
                self.ledger.commit(data.draw(st.sampled_from(held)), now)
            elif what == 2 and held:
                self.ledger.release(data.draw(st.sampled_from(held)))
            elif what == 3:
                cluster.look(dataclasses.replace(
                    cluster.seen, observed_at=float(now),
                    capacity=placing.room(now)))
            elif what == 4:
                strangers = {cluster.name: ('other',)}
            else:
                clusters = tuple(one for one in clusters
                                 if one is not cluster)

    def test_what_did_not_change_is_the_same_view(self):
        east, west = clusters = (Cluster(placing.view('east')),
                                 Cluster(placing.view('west')))
        before = self.take(clusters, {}, 1)
        self.ledger.reserve(west.seen.uuid, 7, 1)
        after = self.take(clusters, {}, 2)
        self.assertIs(before[0], after[0])
        self.assertEqual((0, 7), (before[1].reserved, after[1].reserved))
        again = self.take(clusters, {}, 3)
        self.assertIs(after[1], again[1])
        east.look(placing.view('east', upgrading=True))
        self.assertTrue(self.take(clusters, {}, 3)[0].upgrading)

    def test_what_was_promised_is_forgotten_in_time(self):
        clusters = (Cluster(placing.view('east')),)
        self.ledger.reserve(clusters[0].seen.uuid, 7, 0)
        self.assertEqual([(7, 1), (7, 0), (0, 0)], [
            (view.reserved, view.recent_creates)
            for now in (19, 20, 40)
            for view in self.take(clusters, {}, now)])
