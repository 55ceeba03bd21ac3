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

"""Locks between hosts: bounded, checked, and never the only protection.

Every lock here is advisory. A lease can be lost while the holder sleeps, so
what happens inside is safe without the lock as well; the lock spares the
array's transient errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import logging
from typing import Protocol

import tooz

from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import wait_until

LOG = logging.getLogger(__name__)


class Lock(Protocol):
    """The part of a tooz lock that is used (tooz.locking.Lock)."""

    def acquire(self, blocking: bool = ...) -> bool:
        """:returns: whether the lock is held now."""

    def release(self) -> bool:
        """:returns: whether it was held."""


GetLock = Callable[[str], Lock]


def snapshots_of(name_id: str) -> str:
    """Name of the lock around snapshots of one volume.

    Parallel snapshots of one volume give transient errors on the array.

    :param name_id: the volume's ``name_id``.
    """
    return f'lightbits-snapshots-{name_id}'


def filling_of(master: str, cluster_uuid: str) -> str:
    """Name of the lock of whoever gets a golden image onto a cluster.

    :param master: name of the master that is to come of it.
    """
    return f'lightbits-{master}-{cluster_uuid}'


@contextlib.contextmanager
def hold(get_lock: GetLock, name: str, deadline: Deadline) -> Iterator[None]:
    """Hold a lock, waiting for it until the deadline.

    Tries without blocking and pauses in between: backends differ in what a
    timeout means, and some ignore it. A lock service that is away may come
    back, so that is waited for as well; one that goes away while the lock is
    held changes nothing about what was done under it.

    :raises DeadlineExceeded: it could not be had.
    """
    lock = acquire(get_lock, name, deadline)
    try:
        yield
    finally:
        release(lock, name)


def acquire(get_lock: GetLock, name: str, deadline: Deadline,
            meanwhile: Callable[[], None] = lambda: None) -> Lock:
    """Have a lock for longer than one operation; see `hold`.

    :param meanwhile: called before every try.
    :returns: the lock, to be given to `release`.
    :raises DeadlineExceeded: it could not be had.
    """
    trouble: tooz.ToozError | None = None

    def take() -> Lock | None:
        nonlocal trouble
        meanwhile()
        try:
            # Even that may have to ask the lock service.
            lock = get_lock(name)
            return lock if lock.acquire(blocking=False) else None
        except tooz.ToozError as exc:
            trouble = exc
            return None

    return wait_until(take, deadline, f'waiting for lock {name}',
                      lambda: trouble or 'held by somebody else')


def release(lock: Lock, name: str) -> None:
    """Give a lock back; that it was lost meanwhile is told, not raised."""
    try:
        kept = lock.release()
    except tooz.ToozError as exc:
        LOG.warning('Lock %s could not be released and ends with its lease: '
                    '%s', name, exc)
        return
    if not kept:
        LOG.warning('Lock %s was lost while it was held; what happened '
                    'under it does not depend on it.', name)
