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

"""Telling what was changed, what was not, and why."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
import json
from typing import Any

from cinder_lightbits_federation.audit.changes import Action
from cinder_lightbits_federation.audit.changes import Change
from cinder_lightbits_federation.audit.changes import Done
from cinder_lightbits_federation.audit.changes import Result
from cinder_lightbits_federation.audit.changes import Task
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.outcome import Outcome

SHORT = ('result', 'action', 'cluster', 'object_name', 'cinder_id', 'change')
FULL = ('result', 'action', 'resource', 'cluster', 'cluster_uuid',
        'object_uuid', 'object_name', 'cinder_id', 'kinds', 'evidence',
        'change', 'before', 'after')
# What is left to a person.
BY_HAND = 'by-hand'
# After these a project uses another amount of room in Cinder.
_SIZES = frozenset({Action.SIZE, Action.REIMPORT})


def columns(parsed_args: argparse.Namespace) -> Sequence[str]:
    """:returns: the columns that are wanted."""
    return FULL if base.in_full(parsed_args) else SHORT


def rows(wanted: Sequence[str], done: Sequence[tuple[Task, Done]],
         others: Iterable[Finding]) -> list[list[Any]]:
    """:returns: a row for each task, and for what was left to people."""
    return [[fields[column] for column in wanted]
            for fields in (*_done(done), *map(_left, others))]


def conclude(command: base.CommandMixin, done: Sequence[tuple[Task, Done]]
             ) -> None:
    """Tell the figures; a failure is the outcome."""
    results = [item.result for _task, item in done]
    counts = {result: results.count(result) for result in Result}
    command.say(', '.join(
        f'{result.value}: {count}' for result, count in counts.items()
        if count) or 'nothing to be done')
    if Result.FAILED in results:
        command.settle_for(Outcome.FAILED)
    if any(item.result is Result.DONE and task.action in _SIZES
           for task, item in done):
        command.say('What projects use in Cinder has changed: run '
                    '"cinder-manage quota sync".')


def any_done(done: Iterable[tuple[Task, Done]]) -> bool:
    """Whether anything was changed."""
    return any(item.result is Result.DONE for _task, item in done)


def line(task: Task, trial: Done) -> str:
    """:returns: what a task would do, for people."""
    finding = task.finding
    return (f'{task.action.value} {finding.resource} '
            f'{finding.cinder_id or finding.object_uuid}: '
            f'{_change(trial.change) or trial}')


def _change(change: Change | None) -> str:
    """What changes, in a line."""
    if change is None:
        return ''
    return '; '.join(f'{key}: {_shown(change.before.get(key))} -> '
                     f'{_shown(value)}'
                     for key, value in change.after.items() if value != [])


def _shown(value: Any) -> str:
    """Whole rows are too much for a line."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f'{len(value)} rows'
    return json.dumps(value)


def _done(done: Sequence[tuple[Task, Done]]) -> Iterator[dict[str, Any]]:
    for task, item in done:
        change = item.change
        yield {**_about(task.findings), 'result': str(item),
               'action': task.action.value, 'change': _change(change),
               'before': {} if change is None else {
                   key: change.before.get(key) for key in change.after},
               'after': dict(change.after) if change else {}}


def _left(finding: Finding) -> dict[str, Any]:
    return {**_about((finding,)), 'result': f'{Result.DECLINED.value}: '
            f'{finding.advice}', 'action': BY_HAND, 'change': '',
            'before': {}, 'after': {}}


def _about(findings: Sequence[Finding]) -> dict[str, Any]:
    fields = findings[0].fields()
    return {**fields, 'kinds': [item.kind.value for item in findings],
            'evidence': '; '.join(item.evidence for item in findings)}
