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

"""Extents: bitmaps, merging, clipping and batches."""

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from cinder_lightbits_federation.copy import extents
from cinder_lightbits_federation.copy.extents import Extent
from tests.unit import properties

BLOCK = 4096

def _walk(steps: list[tuple[int, int]]) -> list[Extent]:
    found, at = [], 0
    for gap, length in steps:
        found.append(Extent(at + gap, at + gap + length))
        at += gap + length
    return found


ascending = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 50)),
    max_size=20).map(_walk)


def _bytes(items: list[Extent]) -> set[int]:
    return {at for item in items for at in range(item.start, item.end)}


class BitmapTest(base.BaseTestCase):

    def test_known_values(self):
        found = list(extents.of_bitmap(64, 127, b'\x03\x80' + bytes(6),
                                       BLOCK))
        self.assertEqual([Extent(64 * BLOCK, 66 * BLOCK),
                          Extent(79 * BLOCK, 80 * BLOCK)], found)

    def test_bits_after_the_last_block_say_nothing(self):
        self.assertEqual(
            [Extent(0, 3 * BLOCK)],
            list(extents.of_bitmap(0, 2, b'\xff' * 8, BLOCK)))

    def test_empty(self):
        self.assertEqual([], list(extents.of_bitmap(0, 63, bytes(8), BLOCK)))

    @properties.PROPERTY
    @hypothesis.given(st.integers(0, 1 << 40), st.integers(1, 200),
                      st.binary(max_size=30))
    def test_each_bit_is_a_block(self, first, count, bitmap):
        found = list(extents.of_bitmap(first, first + count - 1, bitmap, 1))
        wanted = {first + bit for bit in range(min(count, len(bitmap) * 8))
                  if bitmap[bit // 8] >> bit % 8 & 1}
        self.assertEqual(wanted, _bytes(found))
        for one, other in zip(found, found[1:], strict=False):
            self.assertLess(one.end, other.start)


class MergeTest(base.BaseTestCase):

    @properties.PROPERTY
    @hypothesis.given(ascending)
    def test_the_same_bytes_in_fewer_extents(self, items):
        found = list(extents.merged(items))
        self.assertEqual(_bytes(items), _bytes(found))
        for one, other in zip(found, found[1:], strict=False):
            self.assertLess(one.end, other.start)

    def test_overlaps(self):
        self.assertEqual([Extent(0, 9)], list(extents.merged(
            [Extent(0, 9), Extent(2, 4), Extent(3, 8)])))

    def test_order_is_checked(self):
        self.assertRaises(ValueError, list, extents.merged(
            [Extent(5, 6), Extent(0, 1)]))

    @properties.PROPERTY
    @hypothesis.given(ascending, st.integers(0, 200), st.integers(0, 400))
    def test_clipping(self, items, start, end):
        self.assertEqual(
            {at for at in _bytes(items) if start <= at < end},
            _bytes(list(extents.clipped(items, start, end))))


class BatchTest(base.BaseTestCase):

    @properties.PROPERTY
    @hypothesis.given(ascending, st.integers(1, 60))
    def test_full_batches_in_order(self, items, size):
        found = list(extents.batches(items, size))
        flat = [extent for batch in found for extent in batch]
        self.assertEqual(list(extents.merged(items)),
                         list(extents.merged(flat)))
        self.assertEqual(extents.total(items), extents.total(flat))
        for batch in found[:-1]:
            self.assertEqual(size, extents.total(batch))
        for batch in found[-1:]:
            self.assertTrue(0 < extents.total(batch) <= size)
