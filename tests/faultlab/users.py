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
"""Users who ask for things, whatever the state of the cloud."""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from concurrent import futures
import threading
import time
from typing import Any, TypeVar
import uuid

from keystoneauth1 import exceptions as auth_exceptions
from openstack import exceptions
import pymysql

from tests.embedded import records
from tests.faultlab import history
from tests.faultlab import plan
from tests.stack import stack

T = TypeVar('T')

# More than that and a short cloud is busy with listing itself.
MOST_VOLUMES = 45
LARGEST = 6
USERS = 16
# They differ in what can be changed in place.
TYPES = {'plain': '<is> False', 'packed': '<is> True'}

_USABLE = frozenset({'available', 'in-use'})


class Nothing(Exception):
    """There is nothing that the step could be about."""


def connector(number: int) -> dict[str, Any]:
    """Return what a numbered host says of itself."""
    address = f'192.0.2.{number}'
    return {'host': f'compute-{number}', 'ip': address,
            'host_ips': [address], 'found_dsc': 'found',
            'nqn': f'nqn.2014-08.org.nvmexpress:uuid:'
                   f'{uuid.UUID(int=number)}',
            'os_type': 'linux2', 'platform': 'x86_64', 'multipath': False}


class Users:
    """Do the steps of a plan, each in a thread, at the time it says."""

    def __init__(self, running: stack.Stack, past: history.History) -> None:
        self._stack = running
        self._past = past
        self._local = threading.local()
        self._busy = threading.Semaphore(USERS)
        self._acts = {
            plan.Act.CREATE: self._create, plan.Act.CLONE: self._clone,
            plan.Act.FROM_SNAPSHOT: self._from_snapshot,
            plan.Act.SNAPSHOT: self._snapshot,
            plan.Act.ATTACH: self._attach, plan.Act.DETACH: self._detach,
            plan.Act.EXTEND: self._extend, plan.Act.DELETE: self._delete,
            plan.Act.DELETE_SNAPSHOT: self._delete_snapshot,
            plan.Act.RETYPE: self._retype, plan.Act.REVERT: self._revert}

    def prepare(self) -> None:
        """Make the volume types that are used."""
        for name, compression in TYPES.items():
            self._sdk.create_type(name=name, extra_specs={
                'multiattach': '<is> True', 'compression': compression})

    def run(self, steps: Sequence[plan.Step], begin: float,
            over: Callable[[], bool]) -> None:
        """Do all steps; returns when the last one has its answer.

        :param begin: monotonic time at which the plan starts.
        :param over: whether to leave out the rest.
        """
        asked = []
        with futures.ThreadPoolExecutor(USERS) as pool:
            for step in steps:
                time.sleep(max(0.0, begin + step.at - time.monotonic()))
                if over():
                    break
                if not self._busy.acquire(blocking=False):
                    self._past.count(step.act.value, 'nobody had time')
                    continue
                asked.append(pool.submit(self._do, step))
        for done in asked:
            done.result()

    @property
    def _sdk(self) -> Any:
        """A client of this thread's own."""
        if not hasattr(self._local, 'sdk'):
            self._local.sdk = self._stack.sdk()
        return self._local.sdk

    def _do(self, step: plan.Step) -> None:
        try:
            outcome = self._attempt(step)
        finally:
            self._busy.release()
        self._past.count(step.act.value, outcome)

    def _attempt(self, step: plan.Step) -> str:
        try:
            self._acts[step.act](step, self._stack.records())
        except Nothing:
            return 'nothing to do it with'
        except exceptions.HttpException as exc:
            return 'refused' if _refused(exc) else 'failed'
        except (OSError, auth_exceptions.ClientException,
                exceptions.SDKException, pymysql.Error):
            return 'failed'
        return 'accepted'

    def _create(self, step: plan.Step, books: records.CinderRecords) -> None:
        _check_room(books)
        kinds = (*TYPES, None)
        self._sdk.create_volume(
            size=1 + step.host % 2,
            volume_type=kinds[int(step.draw * len(kinds))])

    def _clone(self, step: plan.Step, books: records.CinderRecords) -> None:
        _check_room(books)
        source = _pick(step, _usable(books))
        self._sdk.create_volume(size=source.size_gib,
                                source_volume_id=source.id)

    def _from_snapshot(self, step: plan.Step,
                       books: records.CinderRecords) -> None:
        _check_room(books)
        source = _pick(step, _snapshots(books))
        self._sdk.create_volume(size=source.size_gib + 1,
                                snapshot_id=source.id)

    def _snapshot(self, step: plan.Step, books: records.CinderRecords
                  ) -> None:
        self._past.take(self._sdk.create_snapshot(
            volume_id=_pick(step, _usable(books)).id).id)

    def _attach(self, step: plan.Step, books: records.CinderRecords) -> None:
        volume = _pick(step, _usable(books))
        made = self._sdk.create_attachment(
            volume.id, connector=connector(step.host))
        self._sdk.complete_attachment(made)

    def _detach(self, step: plan.Step, books: records.CinderRecords) -> None:
        self._give_up(_pick(step, books.attachments).id,
                      self._sdk.delete_attachment)

    def _extend(self, step: plan.Step, books: records.CinderRecords) -> None:
        volume = _pick(step, [item for item in _usable(books)
                              if item.size_gib < LARGEST])
        before = self._past.wanted.get(volume.id, 0)
        self._past.want(volume.id, volume.size_gib + 1)
        try:
            self._sdk.extend_volume(volume.id, volume.size_gib + 1)
        except exceptions.HttpException as exc:
            if _refused(exc):
                self._past.want(volume.id, before)
            raise

    def _retype(self, step: plan.Step, books: records.CinderRecords) -> None:
        volume = _pick(step, _usable(books))
        self._sdk.retype_volume(volume.id, list(TYPES)[step.host % 2])

    def _revert(self, step: plan.Step, books: records.CinderRecords) -> None:
        """Revert to the only snapshot, which is the last one then."""
        taken = collections.Counter(item.volume_id
                                    for item in books.snapshots)
        idle = {item.id for item in books.volumes
                if item.status == 'available'}
        snapshot = _pick(step, [
            item for item in _snapshots(books)
            if item.volume_id in idle and taken[item.volume_id] == 1])
        self._sdk.revert_volume_to_snapshot(snapshot.volume_id, snapshot.id)

    def _delete(self, step: plan.Step, books: records.CinderRecords) -> None:
        parents = {item.volume_id for item in books.snapshots}
        attached = {item.volume_id for item in books.attachments}
        volume = _pick(step, [
            item for item in books.volumes
            if item.status in ('available', 'error')
            and item.id not in parents | attached])
        self._give_up(volume.id, self._sdk.delete_volume)

    def _delete_snapshot(self, step: plan.Step,
                         books: records.CinderRecords) -> None:
        snapshot = _pick(step, [item for item in books.snapshots
                                if item.status in ('available', 'error')])
        self._give_up(snapshot.id, self._sdk.delete_snapshot)

    def _give_up(self, object_id: str, delete: Any) -> None:
        self._past.give_up(object_id)
        try:
            delete(object_id)
        except exceptions.HttpException as exc:
            if _refused(exc):
                self._past.keep(object_id)
            raise


def _refused(exc: exceptions.HttpException) -> bool:
    """Whether it is certain that nothing was done."""
    return (exc.status_code or 500) < 500


def _check_room(books: records.CinderRecords) -> None:
    if len(books.volumes) >= MOST_VOLUMES:
        raise Nothing


def _usable(books: records.CinderRecords) -> list[records.Volume]:
    return [item for item in books.volumes if item.status in _USABLE]


def _snapshots(books: records.CinderRecords) -> list[records.Snapshot]:
    return [item for item in books.snapshots if item.status == 'available']


def _pick(step: plan.Step, things: Sequence[T]) -> T:
    if not things:
        raise Nothing
    return things[int(step.draw * len(things))]
