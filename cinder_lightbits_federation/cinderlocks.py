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

"""The locks of Cinder's lock service, until the process ends.

A service that is told to end closes its coordinator first and lets what it
has begun come to an end then (``cinder/service.py``, ``Service.stop`` and
``wait``). What still has to lock something gets its locks from a coordinator
of this process's own, which sees the same ones.
"""

from __future__ import annotations

import threading
from typing import Any

from cinder import coordination
from cinder import exception
from oslo_log import log as logging

LOG = logging.getLogger(__name__)


class _Last:
    """A coordinator that is started when Cinder's is closed."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._coordinator: Any = None

    def get_lock(self, name: str) -> Any:
        """:returns: a lock, the same one as Cinder's of that name.

        :raises ToozError: the lock service is away.
        """
        with self._guard:
            known = self._coordinator
        return (known or self._started()).get_lock(name)

    def _started(self) -> Any:
        """:returns: a coordinator; that of another thread if it was faster.

        Nobody else waits while the lock service is asked.
        """
        fresh = coordination.Coordinator(
            prefix=coordination.COORDINATOR.prefix)
        fresh.start()
        with self._guard:
            if self._coordinator is None:
                LOG.info('Cinder has closed its coordinator; what is under '
                         'way gets its locks from another one.')
                self._coordinator = fresh
            kept = self._coordinator
        if kept is not fresh:
            fresh.stop()
        return kept

    def close(self) -> None:
        """Close it, if it was started. Idempotent."""
        with self._guard:
            last, self._coordinator = self._coordinator, None
        if last is not None:
            last.stop()


LAST = _Last()


def get_lock(name: str) -> Any:
    """:returns: a lock of Cinder's lock service; see `locks`.

    :raises ToozError: the lock service is away.
    """
    try:
        return coordination.COORDINATOR.get_lock(name)
    except exception.LockCreationFailed:
        return LAST.get_lock(name)
