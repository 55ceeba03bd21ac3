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

"""What is to be put right, and what became of it.

A finding leads to a task. What the task really changes is only worked out
when it is carried out, from what is there at that moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import enum
from typing import Any

from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.lightbits import model


class Action(enum.Enum):
    """Kinds of changes, in the order in which they are made."""

    REIMPORT = 'make-record'
    PLACE = 'record-place'
    SIZE = 'set-size'
    NAME = 'rename-object'
    ACCESS = 'set-access'
    INTERMEDIATE = 'delete-intermediate'
    PURGE = 'delete-object'
    CONDEMN = 'record-in-error'
    ATTACH = 'record-attachment'
    DETACH = 'record-detachment'
    REFRESH = 'refresh-host'


class Result(enum.Enum):
    """How a task has ended."""

    DONE = 'done'
    PLANNED = 'would be done'
    NOTHING = 'nothing to do'
    DECLINED = 'left alone'
    FAILED = 'failed'


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One change of one record or object.

    :param before: what is there, in plain values.
    :param after: what of it is to be otherwise.
    """

    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """Something that is to be put right, once."""

    action: Action
    findings: tuple[Finding, ...]

    @property
    def finding(self) -> Finding:
        """One of the findings; all are about the same object."""
        return self.findings[0]


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """What became of a task.

    :param why: the reason it was left alone or failed.
    """

    result: Result
    change: Change | None = None
    why: str = ''

    def __str__(self) -> str:
        return ': '.join(filter(None, (self.result.value, self.why)))


ACTIONS = {
    Kind.UNRECORDED: Action.PLACE,
    Kind.WRONG_PLACE: Action.PLACE,
    Kind.WRONG_SIZE: Action.SIZE,
    Kind.MISLABELLED: Action.NAME,
    Kind.HOST_MISSING: Action.ACCESS,
    Kind.HOST_EXTRA: Action.ACCESS,
    Kind.ADDRESS_MISSING: Action.ACCESS,
    Kind.ADDRESS_EXTRA: Action.ACCESS,
    Kind.LEFTOVER: Action.INTERMEDIATE,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What can be tried, and what nothing but a person can put right."""

    tasks: tuple[Task, ...]
    others: tuple[Finding, ...]


def plan(findings: Sequence[Finding], silent: Sequence[str]) -> Plan:
    """Sort findings into tasks, one per object and action.

    Work in flight is left out; so are notices, except of a place that is
    not recorded.

    :param silent: clusters that should have answered and did not. A place
        is only recorded when all have: it may be there as well.
    """
    groups: dict[tuple[Action, str, str], list[Finding]] = {}
    others: list[Finding] = []
    doubled = {item.cinder_id for item in findings
               if item.kind is Kind.DUPLICATE}
    for item in findings:
        action = ACTIONS.get(item.kind)
        blind = action is Action.PLACE and (
            bool(silent) or item.cinder_id in doubled or not item.project)
        if action is None or blind:
            if item.severity.counts:
                others.append(item)
        elif item.severity.counts or item.kind is Kind.UNRECORDED:
            groups.setdefault((action, item.cluster_uuid, item.object_uuid),
                              []).append(item)
    tasks = [Task(key[0], tuple(items)) for key, items in groups.items()]
    order = list(Action)
    return Plan(tuple(sorted(tasks, key=lambda task: order.index(
        task.action))), tuple(others))




def plain(thing: model.Volume | model.Snapshot | model.VolumeChange
          ) -> dict[str, Any]:
    """:returns: what can be written as JSON; what is None is left out."""
    return {key: sorted(value) if isinstance(value, frozenset)
            else value.value if isinstance(value, enum.Enum)
            else dict(value) if isinstance(value, Mapping) else value
            for key, value in ((field.name, getattr(thing, field.name))
                               for field in dataclasses.fields(thing))
            if value is not None}
