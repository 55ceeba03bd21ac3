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

from hypothesis import given
from hypothesis import strategies as st
from oslotest import base

from cinder_lightbits_federation.drain import balance
from cinder_lightbits_federation.drain.balance import Fill
from tests.unit.drain.test_plan import resident

GIB = 1 << 30


@st.composite
def worlds(draw: st.DrawFn) -> tuple[
        list[Fill], dict[str, list[balance.Resident]], float]:
    """:returns: clusters, movable volumes and a tolerance."""
    fills, volumes = [], {}
    for number in range(draw(st.integers(1, 5))):
        sizes = draw(st.lists(st.integers(1, 200), max_size=12))
        others = draw(st.integers(0, 300))
        uuid = f'c{number}'
        fills.append(Fill(uuid, draw(st.integers(100, 3000)) * GIB,
                          (sum(sizes) + others) * GIB,
                          draw(st.booleans())))
        volumes[uuid] = [resident(f'{uuid}-{index}', size)
                         for index, size in enumerate(sizes)]
    return fills, volumes, draw(st.sampled_from((0.0, 0.02, 0.1)))


class PropertiesTestCase(base.BaseTestCase):

    @given(worlds())
    def test_what_always_holds(self, world: tuple[
            list[Fill], dict[str, list[balance.Resident]], float]) -> None:
        fills, volumes, tolerance = world
        found = balance.rebalance(fills, volumes, tolerance)
        known = {fill.uuid: fill for fill in fills}
        capacity = sum(fill.capacity for fill in fills)
        mean = sum(fill.promised for fill in fills) / capacity

        # Each volume moves once, from where it is to where it may go.
        moved = [shift.resident.id for shift in found.shifts]
        self.assertEqual(len(moved), len(set(moved)))
        promised = {fill.uuid: fill.promised for fill in fills}
        for shift in found.shifts:
            self.assertIn(shift.resident, volumes[shift.source])
            self.assertTrue(known[shift.target].takes)
            self.assertNotEqual(shift.source, shift.target)
            promised[shift.source] -= shift.resident.promised
            promised[shift.target] += shift.resident.promised
        # The figures are those of the moves.
        for uuid, ratio in found.after.items():
            self.assertAlmostEqual(
                promised[uuid] / known[uuid].capacity, ratio)
        # Nobody is further from the mean than the furthest was.
        def furthest(ratios: dict[str, float]) -> float:
            return max(abs(ratio - mean) for ratio in ratios.values())

        self.assertLessEqual(furthest(dict(found.after)),
                             furthest(dict(found.before)) + 1e-9)
        # No cluster gives away that was within the bound, and none gives
        # more than its excess and one volume.
        for uuid, fill in known.items():
            gone = [shift.resident.promised for shift in found.shifts
                    if shift.source == uuid]
            excess = fill.promised - (mean + tolerance) * fill.capacity
            if gone:
                self.assertGreater(excess, 0)
                self.assertLess(sum(gone) - max(gone), excess + 1)
        # What is even stays as it is.
        self.assertEqual(found, balance.rebalance(fills, volumes, tolerance))

    @given(st.integers(2, 8), st.integers(1, 40))
    def test_equal_volumes_end_up_even(self, clusters: int, count: int
                                       ) -> None:
        """All on one of several equal clusters."""
        fills = [Fill(f'c{number}', 1000 * GIB,
                      count * GIB if number == 0 else 0)
                 for number in range(clusters)]
        found = balance.rebalance(
            fills, {'c0': [resident(f'v{number}')
                           for number in range(count)]}, 0.0)
        self.assertLessEqual(found.spread, 1 / 1000 + 1e-9)
        # No byte more than that takes.
        self.assertEqual(
            (count - -(-count // clusters)) * GIB, found.size)


class RebalanceTestCase(base.BaseTestCase):

    def shifts(self, fills: list[Fill], sizes: dict[str, list[int]],
               tolerance: float = 0.05) -> list[tuple[int, str, str]]:
        """:returns: sizes in GiB that are moved, from and to."""
        found = balance.rebalance(
            fills, {uuid: [resident(f'{uuid}{index}', size)
                           for index, size in enumerate(values)]
                    for uuid, values in sizes.items()}, tolerance)
        return [(shift.resident.size // GIB, shift.source, shift.target)
                for shift in found.shifts]

    def test_the_smallest_that_is_enough(self) -> None:
        fills = [Fill('a', 1000 * GIB, 600 * GIB), Fill('b', 1000 * GIB, 0)]
        self.assertEqual([(260, 'a', 'b')], self.shifts(
            fills, {'a': [10, 30, 260, 300]}))

    def test_within_the_tolerance_nothing_moves(self) -> None:
        fills = [Fill('a', 1000 * GIB, 400 * GIB),
                 Fill('b', 1000 * GIB, 320 * GIB)]
        self.assertEqual([], self.shifts(fills, {'a': [50, 50]}))

    def test_a_volume_that_is_too_large_stays(self) -> None:
        fills = [Fill('a', 1000 * GIB, 600 * GIB), Fill('b', 1000 * GIB, 0)]
        self.assertEqual([], self.shifts(fills, {'a': [600]}))

    def test_a_cluster_that_is_closed_gets_nothing(self) -> None:
        fills = [Fill('a', 1000 * GIB, 600 * GIB),
                 Fill('b', 1000 * GIB, 0, takes=False)]
        self.assertEqual([], self.shifts(fills, {'a': [300]}))

    def test_without_clusters(self) -> None:
        self.assertEqual([], self.shifts([], {}))
        self.assertEqual([], self.shifts([Fill('a', 0, 0)], {'a': [1]}))
