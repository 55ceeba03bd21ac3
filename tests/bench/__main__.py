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

"""``python -m tests.bench [--quick] [--json FILE] [SECTION ...]``."""

from __future__ import annotations

from tests import patching; patching.prepare()  # noqa: E702

import argparse  # noqa: E402
from collections.abc import Callable, Mapping  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from typing import Any  # noqa: E402

from tests.bench import attach  # noqa: E402
from tests.bench import blackhole  # noqa: E402
from tests.bench import calls  # noqa: E402
from tests.bench import clusters  # noqa: E402
from tests.bench import copying  # noqa: E402
from tests.bench import environment  # noqa: E402
from tests.bench import machine  # noqa: E402
from tests.bench import operations  # noqa: E402
from tests.bench import placement  # noqa: E402
from tests.bench import policies  # noqa: E402
from tests.bench import profiles  # noqa: E402
from tests.bench import report  # noqa: E402
from tests.bench import scale  # noqa: E402
from tests.bench import scrapes  # noqa: E402
from tests.bench import services  # noqa: E402

Run = Callable[[environment.Environment, bool], dict[str, Any]]
Show = Callable[[Mapping[str, Any]], str]

SECTIONS: dict[str, tuple[Run, Show]] = {
    'calls': (calls.run, report.calls),
    'operations': (operations.run, operations.show),
    'clusters': (clusters.run, clusters.show),
    'scale': (scale.run, scale.show),
    'exporter': (scrapes.run, scrapes.show),
    'profiles': (profiles.run, profiles.show),
    'blackhole': (blackhole.run, report.blackhole),
    'policies': (policies.run, policies.show),
    'placement': (placement.run, placement.show),
    'services': (services.run, services.show),
    'copy': (copying.run, copying.show),
    'attach': (attach.run, attach.show)}
# Those that need a virtual machine or root run only when asked for.
ON_REQUEST = {'attach', 'copy'}


def main() -> int:
    """Run the sections asked for and print what they found.

    :returns: 1 if a section that has a limit was not ``in time``.
    """
    parser = argparse.ArgumentParser(prog='tools/bench.sh')
    parser.add_argument('--json', metavar='FILE',
                        help='also write all figures to FILE')
    parser.add_argument('--quick', action='store_true',
                        help='fewer cases and repetitions, under 5 minutes')
    parser.add_argument('--repetitions', type=int, metavar='N',
                        help=f'of operations and clusters; default: '
                             f'{environment.REPETITIONS}, quick: '
                             f'{environment.QUICK_REPETITIONS}')
    parser.add_argument('sections', nargs='*', metavar='SECTION',
                        help=f'of {", ".join(SECTIONS)}; default: all but '
                             f'{", ".join(ON_REQUEST)}')
    told = parser.parse_args()
    unknown = set(told.sections) - set(SECTIONS)
    if unknown:
        parser.error(f'no section {", ".join(sorted(unknown))}')
    figures: dict[str, Any] = {'machine': machine.describe()}
    repetitions = told.repetitions or (
        environment.QUICK_REPETITIONS if told.quick
        else environment.REPETITIONS)
    with environment.environment(repetitions) as bench:
        figures['machine']['database'] = bench.database
        for name in told.sections or [
                name for name in SECTIONS if name not in ON_REQUEST]:
            run, show = SECTIONS[name]
            print(f'== {name}', flush=True)
            figures[name] = run(bench, told.quick)
            print(show(figures[name]), flush=True)
            if told.json:
                _write(told.json, figures)
    return int(any(not found.get('in time', True)
                   for found in figures.values()))


def _write(path: str, figures: Mapping[str, Any]) -> None:
    """Write what is there so far: a later section may fail."""
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(_rounded(figures), file, indent=1)
        file.write('\n')


def _rounded(value: Any) -> Any:
    """:returns: the same with four significant digits."""
    if isinstance(value, float):
        return float(f'{value:.4g}')
    if isinstance(value, Mapping):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return value


if __name__ == '__main__':
    sys.exit(main())
