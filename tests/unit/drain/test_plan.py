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

import random
from typing import Any

from oslotest import base

from cinder_lightbits_federation import capacity
from cinder_lightbits_federation.drain import plan
from cinder_lightbits_federation.drain.plan import Resident
from cinder_lightbits_federation.placement import PlacementPolicy
from cinder_lightbits_federation.spec import VolumeSpec
from cinder_lightbits_federation.views import AdminState
from cinder_lightbits_federation.views import ClusterView

GIB = 1 << 30


def view(name: str, total: int = 1000, used: int = 0, **fields: Any
         ) -> ClusterView:
    """:returns: a cluster; sizes in GiB."""
    return ClusterView(
        uuid=name, name=name, capacity=capacity.Capacity(
            effective=total * GIB, free_physical=(total - used) * GIB,
            provisioned=used * GIB,
            source=capacity.Source.CLUSTER), **fields)


def resident(name: str, size: int = 1, **fields: Any) -> Resident:
    """:returns: a volume; size in GiB."""
    given: dict[str, Any] = {'status': 'available', 'replicas': 1,
                             'project': 'default', 'spec': VolumeSpec(),
                             **fields}
    return Resident(id=name, size=size * GIB, **given)


class PlanTestCase(base.BaseTestCase):

    def planned(self, *residents: Resident, views: Any = None) -> plan.Plan:
        """Plan to leave the cluster "old"."""
        views = views or [view('old', admin_state=AdminState.DRAINING),
                          view('a'), view('b', used=500)]
        return plan.plan(residents, 'old', views, PlacementPolicy(
            max_over_subscription=1.0), random.Random(1))

    def moved(self, found: plan.Plan) -> list[tuple[str, str]]:
        """:returns: what is moved, and where to."""
        return [(move.resident.id, move.target) for move in found.moves]

    def test_the_order(self) -> None:
        found = self.planned(
            resident('used', 1, status='in-use', servers=('s',)),
            resident('large', 9), resident('small', 2))
        self.assertEqual([('small', 'a'), ('large', 'a'), ('used', 'a')],
                         self.moved(found))
        self.assertEqual((), found.blocked)
        self.assertEqual(12 * GIB, found.size)

    def test_time(self) -> None:
        found = self.planned(*(resident(f'v{size}', size)
                            for size in (1, 2, 3, 4)))
        self.assertEqual(10.0, found.seconds(GIB, 1))
        self.assertEqual(6.0, found.seconds(GIB, 2))
        self.assertEqual(4.0, found.seconds(GIB, 9))
        self.assertEqual(0.0, self.planned().seconds(GIB, 2))

    def test_those_before_take_room(self) -> None:
        """Two volumes of 600 GiB do not fit on one cluster of 1000."""
        found = self.planned(
            resident('one', 600), resident('two', 600),
            views=[view('old'), view('a'), view('b', used=300)])
        self.assertEqual([('one', 'a'), ('two', 'b')], self.moved(found))

    def test_no_room(self) -> None:
        found = self.planned(resident('one', 600, replicas=2))
        (blocked,) = found.blocked
        reason, = blocked.reasons
        self.assertIn('no cluster takes it: ', reason)
        self.assertIn('a(needs 1200 GiB', reason)
        self.assertIn(f'old({plan.LEAVING})', reason)

    def test_a_pin_holds(self) -> None:
        spec = VolumeSpec.from_extra_specs({'lightos:cluster': 'old'})
        found = self.planned(resident('pinned', spec=spec))
        self.assertEqual((), found.moves)
        self.assertIn('not admitted by', found.blocked[0].reasons[0])

    def test_what_keeps_a_volume(self) -> None:
        for fields, told in (
                ({'snapshots': 2}, 'it has 2 snapshots'),
                ({'group': 'g'}, 'it is in group g'),
                ({'foreign': ('f',)}, 'does not know: f'),
                ({'temporary': True}, 'for its own use'),
                ({'status': 'error'}, 'its status is error'),
                ({'status': 'in-use', 'hosts': ('h',)}, 'attached to h'),
                ({'status': 'in-use', 'servers': ('s', 't')},
                 'attached to 2 servers'),
                ({'status': 'in-use'}, 'in use by nobody')):
            found = self.planned(resident('v', **fields))
            self.assertEqual((), found.moves)
            (blocked,) = found.blocked
            self.assertEqual(1, len(blocked.reasons), blocked.reasons)
            self.assertIn(told, blocked.reasons[0])

    def test_all_that_keeps_it_is_told(self) -> None:
        found = self.planned(resident('v', snapshots=1, group='g',
                                   status='error'))
        self.assertEqual(3, len(found.blocked[0].reasons))

    def test_what_is_being_moved_is_left_to_that(self) -> None:
        found = self.planned(resident('v', status='maintenance',
                                   migrating=True))
        self.assertEqual(((), ()), (found.moves, found.blocked))
        self.assertEqual(['v'], [item.id for item in found.under_way])
