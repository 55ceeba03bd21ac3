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
"""One run: users and troubles side by side, then peace, then the count."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
import contextlib
import dataclasses
import math
import threading
import time
from typing import Any

from openstack import exceptions
import pymysql

from cinder_lightbits_federation import ownership
from tests.embedded import waiting
from tests.faultlab import breaking
from tests.faultlab import doors
from tests.faultlab import history
from tests.faultlab import plan
from tests.faultlab import repairs
from tests.faultlab import users
from tests.stack import bed
from tests.stack import operators

_LOOK_EVERY = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What came of a run.

    :ivar cleaned: what the operator did, one line each.
    :ivar findings: what is wrong; empty when everything holds.
    :ivar left: what volumes and snapshots there were at the end.
    :ivar remains: what is on the clusters after all of it was deleted.
    """

    plan: plan.Plan
    past: history.History
    cleaned: tuple[str, ...]
    findings: tuple[str, ...]
    left: str
    remains: tuple[str, ...]
    seconds: float

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled, left behind or let in."""
        return not self.findings and not self.remains


def run(lab: bed.Bed, planned: plan.Plan, kills: float = math.inf
        ) -> Result:
    """Carry a plan out over services that run.

    :param kills: when so many services were killed, the rest of the plan is
        left out.
    """
    past = history.History()

    def over() -> bool:
        return past.kills >= kills

    crowd = users.Users(lab.stack, past)
    crowd.prepare()
    begin = time.monotonic()
    breaker = breaking.Breaker(lab, past)
    with _observed(lab, past), futures.ThreadPoolExecutor(1) as pool:
        broken = pool.submit(breaker.run, planned.breaks, begin, over)
        crowd.run(planned.steps, begin, over)
        broken.result()
    seconds = time.monotonic() - begin
    cleaned, findings = _settle(lab, past)
    findings += _compare(lab, past)
    wrong_sizes = repairs.sizes(findings)
    if wrong_sizes:
        cleaned += [*wrong_sizes, *repairs.audit(lab)]
        findings = [item for item in findings if item not in wrong_sizes]
        findings += _compare(lab, past)
    books = lab.stack.records()
    left = (f'{len(books.volumes)} volumes, {len(books.snapshots)} snapshots'
            f', {len(books.attachments)} attachments')
    return Result(planned, past, tuple(cleaned), tuple(findings), left,
                  tuple(_remove_all(lab)), seconds)


def _compare(lab: bed.Bed, past: history.History) -> list[str]:
    """Return all that is wrong now."""
    books = lab.stack.records()
    return [*lab.findings(), *past.losses(books),
            *doors.findings(lab, books)]


@contextlib.contextmanager
def _observed(lab: bed.Bed, past: history.History) -> Iterator[None]:
    """Look at what users see, again and again."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_EVERY):
            with contextlib.suppress(pymysql.Error):
                past.observe(lab.stack.records())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _settle(lab: bed.Bed, past: history.History
            ) -> tuple[list[str], list[str]]:
    """Everything is well again; an operator cleans up.

    :returns: what was done, and what would not come to rest.
    """
    for cluster in lab.clusters.values():
        cluster.clear_faults()
    sdk = lab.stack.sdk()
    waiting.wait_for(
        lambda: all(item.state == 'up' for item in sdk.services()),
        'all services to be up', 300)
    past.observe(lab.stack.records())
    operator = operators.Operator(lab.stack)
    trouble = []
    try:
        operator.clean_up(past.wanted, past.relied_on, past.given_up)
    except operators.StillBroken as exc:
        trouble = [f'does not come to rest: {exc}']
    lab.let_time_pass()
    return operator.done, trouble


def _remove_all(lab: bed.Bed) -> Iterator[str]:
    """Delete everything as users would; tell what clusters still hold."""
    try:
        _ask_for_deletion(lab)
    except (waiting.WaitedTooLong, exceptions.HttpException) as exc:
        yield str(exc)
    lab.let_time_pass()
    for cluster in lab.contents():
        for item in cluster.volumes:
            if item.label(ownership.LABEL_OWNER) == lab.federation_id:
                yield f'volume {item.name} on {cluster.name}'
        for copy in cluster.snapshots:
            if lab.federation_id in copy.description:
                yield f'snapshot {copy.name} on {cluster.name}'


def _ask_for_deletion(lab: bed.Bed) -> None:
    sdk = lab.stack.sdk()
    for attachment in list(sdk.attachments()):
        sdk.delete_attachment(attachment.id)
    for snapshot in list(sdk.snapshots()):
        sdk.delete_snapshot(snapshot.id)
    _wait_for_none(lab, 'snapshots')
    for volume in list(sdk.volumes()):
        sdk.delete_volume(volume.id)
    _wait_for_none(lab, 'volumes')


def _wait_for_none(lab: bed.Bed, kind: str) -> None:
    def gone() -> bool:
        items: tuple[Any, ...] = getattr(lab.stack.records(), kind)
        return not items

    waiting.wait_for(gone, f'all {kind} to be gone', 300)
