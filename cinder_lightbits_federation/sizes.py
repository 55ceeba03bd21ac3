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

"""Bytes and GiB.

Inside the project every size is an int of bytes; Cinder counts in GiB and
writes "GB". The conversions stand here only.
"""

from __future__ import annotations

MIB = 1024 ** 2
GIB = 1024 ** 3


def gib_to_bytes(gib: int) -> int:
    """:returns: bytes of a whole number of GiB."""
    return gib * GIB


def bytes_to_gib_ceil(size: int) -> int:
    """:returns: the fewest whole GiB that hold `size` bytes."""
    return -(-size // GIB)


def bytes_to_gib_floor(size: int) -> int:
    """:returns: the whole GiB that fit into `size` bytes."""
    return size // GIB
