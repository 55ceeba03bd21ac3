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

"""Attachments side by side with os-brick's connector, on a real kernel."""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
import pathlib
import statistics
import tempfile
from typing import Any

from tests.bench import environment as env
from tests.bench import report
from tests.vm import machine

# Seconds for all of it, of which os-brick's timeouts alone take minutes.
LIMIT = 3600.0
SUITE = 'tests.vm.measure'
QUICK = f'{SUITE}.TroubleMeasurement'


def run(_bench: env.Environment, quick: bool) -> dict[str, Any]:
    """:returns: seconds by what was measured and by kind of connector.

    :raises GuestFailed: the virtual machine did not work.
    """
    cache = pathlib.Path(os.environ.get('VM_CACHE') or os.path.join(
        tempfile.gettempdir(), 'lightbits-vm'))
    made = machine.Machine(cache)
    made.run(machine.python_script(
        '-m', 'tests.vm.guest', QUICK if quick else SUITE), LIMIT)
    figures: dict[str, Any] = json.loads(made.result('figures.json'))
    return figures


def _cell(values: list[float]) -> str:
    if len(values) == 1:
        return f'{values[0]:.2f}'
    return (f'{statistics.median(values):.2f} ({min(values):.2f} to '
            f'{max(values):.2f})')


def show(figures: Mapping[str, Any]) -> str:
    """:returns: a table, and how parallel attachments compare."""
    kinds = list(dict.fromkeys(
        kind for columns in figures.values() for kind in columns))
    lines = [report.table(('seconds', *kinds), [
        (name, *(_cell(columns[kind]) if kind in columns else '-'
                 for kind in kinds))
        for name, columns in figures.items()])]
    lines += [
        f'{kind}: {count} at once, {state}: {ratios}'
        for kind in kinds for state in ('cold', 'warm') for count in (10, 50)
        if (ratios := _ratios({name: columns.get(kind, [])
                               for name, columns in figures.items()},
                              count, state))]
    return '\n'.join(lines)


def _ratios(values: Mapping[str, list[float]], count: int, state: str
            ) -> str:
    """:returns: how long many take, in times of one.

    :param values: of one kind of connector, by what was measured.
    """
    many = values.get(f'attach {count}, {state}', [])
    told = []
    if alone := values.get(f'attach 1, {state}'):
        told += [f'{statistics.median(many) / max(alone):.1f} times the '
                 f'slowest that was alone'] if many else []
    if of_them := values.get(f'slowest of {count}, {state}'):
        each = [all_of / one
                for all_of, one in zip(many, of_them, strict=True)]
        told.append(f'{min(each):.1f} to {max(each):.1f} times the slowest '
                    f'of them')
    return '; '.join(told)
