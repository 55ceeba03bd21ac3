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
"""Audits now and then, beside the scrapes."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import logging
import threading
import time

from cinder_lightbits_federation.audit.collect import Report

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Audited:
    """The last audit.

    :param seconds: that it took.
    :param ended: in seconds since the epoch.
    """

    report: Report
    seconds: float
    ended: float


class Rounds:
    """A thread that audits again and again.

    :param audit: one audit; what it raises is logged.
    :param interval: seconds from the end of one to the start of the next.
    :ivar last: the last one that has ended well, None before.
    :ivar failure: why the one after it has failed; empty if none has.
    """

    def __init__(self, audit: Callable[[], Report], interval: float) -> None:
        self._audit = audit
        self._interval = interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True,
                                        name='lightbits-audit')
        self.last: Audited | None = None
        self.failure = ''

    def start(self) -> None:
        """Start with the first audit."""
        self._thread.start()

    def stop(self) -> None:
        """End after the audit under way. Idempotent."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                report = self._audit()
            except Exception as exc:  # A thread's top: the next may work.
                LOG.exception('The audit failed.')
                self.failure = str(exc) or type(exc).__name__
            else:
                self.failure = ''
                self.last = Audited(report, time.monotonic() - began,
                                    time.time())
            self._stopped.wait(self._interval)
