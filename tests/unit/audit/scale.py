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

"""How long the comparison takes: ``python -m tests.unit.audit.scale``.

Prints seconds and memory for growing clouds, nothing is asserted: the
figures are the machine's.
"""

from __future__ import annotations

import argparse
import random
import resource
import time

from cinder_lightbits_federation.audit import checker
from tests.unit.audit import generated
from tests.unit.audit import world

SIZES = (1000, 10_000, 100_000)


def measure(volumes: int) -> str:
    """:returns: one line about a cloud of so many volumes."""
    cloud = generated.cloud(random.Random(volumes), volumes, clusters=8)
    books, seen = cloud.records(), cloud.contents()
    begin = time.perf_counter()
    findings = checker.check(books, seen, world.NOW, world.OWNER)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return (f'{volumes:>8} volumes {len(books.snapshots):>7} snapshots '
            f'{len(books.attachments):>7} attachments: {seconds:7.3f} s, '
            f'{seconds / volumes * 1e6:6.1f} us each, '
            f'{len(findings)} findings, peak {peak} MiB')


def main() -> None:
    """Measure the sizes asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument('volumes', nargs='*', type=int, default=SIZES)
    for volumes in parser.parse_args().volumes:
        print(measure(volumes), flush=True)


if __name__ == '__main__':
    main()
