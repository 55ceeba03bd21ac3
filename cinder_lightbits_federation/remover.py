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

"""Removing an object of a cluster, with proof before and after."""

from __future__ import annotations

from collections.abc import Callable
import logging
from typing import TypeVar

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.lightbits import client as lb_client
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import wait_until

LOG = logging.getLogger(__name__)

T = TypeVar('T', model.Volume, model.Snapshot)

# Statuses that mean "busy", "changed meanwhile" or "already going": only
# what the object looks like now tells which.
_LOOK_AGAIN = (lb_errors.BadRequest, lb_errors.Conflict,
               lb_errors.PreconditionFailed, lb_errors.Ambiguous)


def remove_volume(client: lb_client.LightbitsClient, project: str,
                  volume: model.Volume,
                  check: Callable[[model.Volume], None],
                  deadline: Deadline) -> None:
    """Delete a volume that was read just now.

    The delete is conditional on what was read, and whatever changed it in
    between is looked at and checked again. Returns when the cluster has
    accepted the delete; the space comes back later.

    :param check: raises when a volume must not be deleted.
    :raises OperationFailed: the cluster refused.
    :raises LightbitsError: the cluster does not answer, or forbids it.
    :raises DeadlineExceeded: it stayed busy.
    """
    _remove(volume, check, deadline,
            read=lambda: client.get_volume(project, volume.uuid,
                                           deadline=deadline),
            delete=lambda seen: client.delete_volume(
                project, seen.uuid, etag=seen.etag, deadline=deadline))


def remove_snapshot(client: lb_client.LightbitsClient, project: str,
                    snapshot: model.Snapshot,
                    check: Callable[[model.Snapshot], None],
                    deadline: Deadline) -> None:
    """Delete a snapshot that was read just now; as `remove_volume`."""
    _remove(snapshot, check, deadline,
            read=lambda: client.get_snapshot(project, snapshot.uuid,
                                             deadline=deadline),
            delete=lambda seen: client.delete_snapshot(
                project, seen.uuid, deadline=deadline))


def _remove(first: T, check: Callable[[T], None], deadline: Deadline,
            read: Callable[[], T], delete: Callable[[T], None]) -> None:
    seen = first
    refusal: lb_errors.LightbitsError | None = None

    def attempt() -> bool | None:
        nonlocal seen, refusal
        if refusal is not None:
            changed = _read_again(read)
            if changed is None:
                return True
            if (isinstance(refusal, lb_errors.BadRequest)
                    and changed.etag == seen.etag and not changed.state.going):
                raise errors.OperationFailed(str(refusal)) from refusal
            seen = changed
        if seen.state.going:
            return True
        check(seen)
        try:
            delete(seen)
        except lb_errors.NotFound:
            return True
        except _LOOK_AGAIN as exc:
            refusal = exc
            return None
        return True

    wait_until(attempt, deadline.before_last_look(),
               f'deleting {first.name}',
               lambda: refusal or seen.state.value)


def _read_again(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except lb_errors.NotFound:
        return None
