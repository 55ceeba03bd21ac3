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

"""Conversions between bytes and GiB."""

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from cinder_lightbits_federation import sizes
from tests.unit import properties


class SizesTest(base.BaseTestCase):

    def test_known_values(self):
        self.assertEqual(1073741824, sizes.gib_to_bytes(1))
        self.assertEqual(2, sizes.bytes_to_gib_ceil(sizes.GIB + 1))
        self.assertEqual(1, sizes.bytes_to_gib_floor(2 * sizes.GIB - 1))
        self.assertEqual(0, sizes.bytes_to_gib_ceil(0))

    @properties.PROPERTY
    @hypothesis.given(st.integers(min_value=0, max_value=2 ** 64))
    def test_rounding_brackets_the_size(self, size):
        up = sizes.bytes_to_gib_ceil(size)
        down = sizes.bytes_to_gib_floor(size)
        self.assertLessEqual(sizes.gib_to_bytes(down), size)
        self.assertGreaterEqual(sizes.gib_to_bytes(up), size)
        self.assertEqual(up - down, 1 if size % sizes.GIB else 0)
        self.assertEqual(
            down, sizes.bytes_to_gib_ceil(sizes.gib_to_bytes(down)))
