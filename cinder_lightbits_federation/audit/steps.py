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

"""One change at a time: tried or made, and written down before it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cinder_lightbits_federation import access
from cinder_lightbits_federation.audit.changes import Change
from cinder_lightbits_federation.audit.changes import Done
from cinder_lightbits_federation.audit.changes import Result
from cinder_lightbits_federation.audit.changes import Task
from cinder_lightbits_federation.audit.journal import Entry
from cinder_lightbits_federation.audit.journal import Journal
from cinder_lightbits_federation.audit.proofs import Declined
from cinder_lightbits_federation.audit.proofs import Thing
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import DeadlineExceeded

FAILURES = (errors.FederationError, lb_errors.LightbitsError,
            DeadlineExceeded, access.AccessError)


class _Planned(Exception):
    """Ends a trial run where the change would be made."""


class Step:
    """One task under way: what it writes down and when it stops.

    :param entry: None in a trial run.
    """

    def __init__(self, task: Task, entry: Entry | None) -> None:
        self.task = task
        self._entry = entry
        self.change: Change | None = None

    def about_to(self, before: Mapping[str, Any], after: Mapping[str, Any]
                 ) -> None:
        """Write a change down; to be called right before it is made."""
        self.change = Change(before, after)
        if self._entry is None:
            raise _Planned
        finding = self.task.finding
        self._entry.intend(
            action=self.task.action.value, resource=finding.resource,
            cinder_id=finding.cinder_id, cluster=finding.cluster,
            cluster_uuid=finding.cluster_uuid,
            object_uuid=finding.object_uuid,
            evidence=[item.evidence for item in self.task.findings],
            before=before, after=after)

    def conclude(self, done: Done) -> Done:
        """Write down how it went."""
        if self._entry is not None:
            self._entry.conclude(str(done))
        return done


def carry_out(task: Task, journal: Journal | None,
              body: Callable[[Step], None]) -> Done:
    """Carry one task out.

    :param journal: None for a trial run.
    :param body: makes the change after `Step.about_to`.
    """
    title = f'{task.action.value}-{task.finding.object_uuid or "record"}'
    step = Step(task, journal.open(title) if journal else None)
    try:
        body(step)
    except _Planned:
        return Done(Result.PLANNED, step.change)
    except Declined as exc:
        return step.conclude(Done(Result.DECLINED, step.change, str(exc)))
    except FAILURES as exc:
        return step.conclude(Done(Result.FAILED, step.change, str(exc)))
    return step.conclude(Done(
        Result.NOTHING if step.change is None else Result.DONE, step.change))


def read(cluster: Cluster, project: str, uuid: str, is_volume: bool,
         deadline: Deadline) -> Thing:
    """Read an object as it is now.

    :raises NotFound: the cluster says that there is none.
    """
    with cluster.api(deadline) as client:
        if is_volume:
            return client.get_volume(project, uuid, deadline=deadline)
        return client.get_snapshot(project, uuid, deadline=deadline)
