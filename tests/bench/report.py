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

"""Figures as text that a person reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
import statistics
from typing import Any


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """:returns: a simple reStructuredText table."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells)
              for column in range(len(header))]
    rule = '  '.join('=' * width for width in widths)
    lines = ['  '.join(cell.ljust(width) for cell, width
                       in zip(row, widths, strict=True)).rstrip()
             for row in cells]
    return '\n'.join([rule, lines[0], rule, *lines[1:], rule])


def calls(figures: Mapping[str, Any]) -> str:
    """The costs of each operation."""
    header = ('operation', 'REST calls', 'shared statistics', 'TCP', 'TLS',
              'which')
    return '\n'.join(
        f'\nState changes: {case}\n\n' + table(header, [
            (one['operation'], one['calls'], one['statistics'],
             one['connections'], one['handshakes'], one['routes'] or '-')
            for one in rows])
        for case, rows in figures.items())


def spread(values: Sequence[float]) -> str:
    """:returns: the median, and the least and the most."""
    return (f'{statistics.median(values):.1f} '
            f'({min(values):.1f} to {max(values):.1f})')


def ratio(above: Sequence[float], below: Sequence[float]) -> str:
    """:returns: `spread` of what repetition by repetition is the ratio."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Fit ``value = c x size ** e`` by least squares of the logarithms.

    :returns: e; 1 is linear.
    """
    found = statistics.linear_regression(
        [math.log(size) for size in sizes],
        [math.log(max(value, 1e-6)) for value in values])
    return found.slope


def growth(figures: Mapping[Any, Mapping[str, float]], what: str) -> str:
    """A row for each step, with the exponent of its growth.

    :param figures: by number, a word or text, of `what`.
    """
    numbers = [int(number) for number in figures]
    rows = []
    for name in next(iter(figures.values())):
        values = [one[name] for one in figures.values()]
        rows.append((name, *(f'{value:.2f}' for value in values),
                     f'{exponent(numbers, values):.2f}'))
    return table(('step', *(f'{number:,} {what}' for number in numbers),
                  'exponent'), rows)


def blackhole(figures: Mapping[str, Any]) -> str:
    """Start, creates and statistics with and without a black hole."""
    rows = [(case, spread(figures[case]['start_ms']),
             spread(figures[case]['create_ms']),
             spread(figures[case]['stats_ms']))
            for case in ('undisturbed', 'one black hole')]
    died = figures['goes silent while running']
    return table(
        ('case', 'start-up ms', 'create ms, median', 'statistics ms'),
        rows) + (
        f'\ncreate, one black hole : undisturbed = '
        f'{figures["create_ratio"]:.2f}'
        f'\na cluster goes silent while running: statistics '
        f'{died["stats_ms"]:.1f} ms, slowest create '
        f'{died["slowest_create_ms"]:.1f} ms')
