#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.
"""Ends process groups when the process that made them is gone.

A program of its own, with the standard library only. Reads lines from its
standard input: ``+N`` is a process group to end, ``-N`` one that has ended.
At the end of the input, however that came about, what is left is killed.
"""

from __future__ import annotations

from collections.abc import Iterable
import contextlib
import os
import signal
import sys


def left(lines: Iterable[str]) -> set[int]:
    """Return the groups that were named and not taken back."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line[0] == '+':
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def main() -> None:
    # The terminal's interrupt is for those who can end in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for group in left(sys.stdin):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == '__main__':
    main()
