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

"""Draws what was measured: ``python -m tests.bench.plots FOLDER``.

``tox -e plots`` does so for the documentation. The folder has the figures that
``tools/bench.sh --json`` has written, and gets the plots.
"""

from __future__ import annotations

from collections.abc import Mapping
import pathlib
import statistics
import sys
from typing import Any

from tests.bench import drawing
from tests.bench import names
from tests.generated import figures

Run = Mapping[str, Any]

#: Steps whose growth is shown.
STEPS = ('start', 'manageable', 'audit', 'exporter')


def _rates(run: Run, contender: str, operation: str) -> dict[int, float]:
    """Operations per second by how many are in flight."""
    return {one['in_flight']: statistics.median(one['rate'])
            for one in run.get('operations', {}).values()
            if one['contender'] == contender
            and one['operation'] == operation and not one['delay']}


def parallel(runs: Mapping[str, Run], path: pathlib.Path) -> None:
    """Throughput of creates and attachments by how many are in flight."""
    with drawing.drawn(path, 'parallel') as page:
        for axes, operation in zip(page.subplots(1, 2), ('create', 'attach'),
                                   strict=True):
            for threads, run in runs.items():
                for contender in (names.OURS, names.IN_TREE):
                    rates = _rates(run, contender, operation)
                    axes.plot(list(rates), list(rates.values()), marker='o',
                              label=f'{contender}, {threads}')
            axes.set(xscale='log', yscale='log', xlabel='in flight',
                     ylabel='operations per second', title=operation)
            axes.legend(fontsize='small')


def clusters(runs: Mapping[str, Run], path: pathlib.Path) -> None:
    """Latency by the number of clusters; bars reach to the extremes."""
    with drawing.drawn(path, 'clusters') as page:
        columns, = page.subplots(1, len(runs), squeeze=False)
        for axes, (threads, run) in zip(columns, runs.items(), strict=True):
            found = {int(case.split()[0]): figures
                     for case, figures in run.get('clusters', {}).items()
                     if ',' not in case}
            for operation in ('create', 'attach', 'detach'):
                _errors(axes, operation, {
                    number: one[operation] for number, one in found.items()})
            axes.set(xscale='log', xlabel='clusters', ylabel='p50, ms',
                     title=threads, ylim=(0, None))
            axes.legend()


def _errors(axes: Any, name: str, found: Mapping[int, list[float]]) -> None:
    """Draw medians, and bars from the least to the most."""
    middle = [statistics.median(values) for values in found.values()]
    below = [one - min(values) for one, values
             in zip(middle, found.values(), strict=True)]
    above = [max(values) - one for one, values
             in zip(middle, found.values(), strict=True)]
    axes.errorbar(list(found), middle, marker='o', capsize=3,
                  yerr=[below, above], label=name)


def scale(runs: Mapping[str, Run], path: pathlib.Path) -> None:
    """Seconds of each step by the number of volumes, and of clusters."""
    with drawing.drawn(path, 'scale') as page:
        for axes, (key, what) in zip(
                page.subplots(1, 2),
                (('by_size', 'volumes'), ('by_clusters', 'clusters')),
                strict=True):
            for threads, run in runs.items():
                _steps(axes, threads, run.get('scale', {}).get(key, {}))
            axes.set(xscale='log', yscale='log', xlabel=what,
                     ylabel='seconds')
            axes.legend(fontsize='small')


def _steps(axes: Any, threads: str, found: Mapping[str, Run]) -> None:
    style = 'solid' if threads == 'eventlet' else 'dashed'
    for number, step in enumerate(STEPS if found else ()):
        axes.plot([int(one) for one in found],
                  [one[f'{step} s'] for one in found.values()],
                  color=f'C{number}', linestyle=style, marker='o',
                  label=f'{step}, {threads}')


def main() -> None:
    """Write all plots."""
    folder = pathlib.Path(sys.argv[1])
    runs = figures.read(folder)
    for draw in (parallel, clusters, scale):
        draw(runs, folder / f'{draw.__name__}.svg')


if __name__ == '__main__':
    main()
