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

"""Trying again what fails for a while.

A copy may take days, in which a path is lost, a cluster fails over, or the
privileged helper is ended together with another service. None of that says
anything about the copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import logging
from typing import TypeVar

from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation import errors as federation_errors
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.timing import DeadlineExceeded
from cinder_lightbits_federation.timing import pause

LOG = logging.getLogger(__name__)

# Seconds between two tries; six minutes in all, which is more than a cluster
# needs for a failover, or a host for its paths.
PAUSES = (5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0, 60.0)
# Seconds after which whoever waits looks whether it is to go on.
STEP = 5.0

# What may be gone when it is tried again. All that a copy does can be
# repeated, so this has what may have been applied, too.
PASSING = (OSError, errors.Interrupted, lb_errors.NotSent,
           lb_errors.Ambiguous, lb_errors.InvalidReply,
           lb_errors.Unauthorized, lb_errors.Conflict,
           lb_errors.PreconditionFailed, lb_errors.TooManyRequests,
           lb_errors.Unavailable, lb_errors.ServerError,
           federation_errors.ClusterUnavailable,
           # Its section may be away for a moment.
           federation_errors.UnknownCluster,
           federation_errors.OutcomeUnknown, DeadlineExceeded)

T = TypeVar('T')


def persist(work: Callable[[], T], place: Callable[[], tuple[int, ...]],
            check: Callable[[], None], pauses: Sequence[float], what: str
            ) -> T:
    """Do something again for as long as what fails may pass.

    :param work: goes on where it stopped.
    :param place: tells where that is; all pauses are there again when it is
        further on than when the try began.
    :param check: raises when there is no use in trying any longer; called
        before, during and after each pause.
    :param pauses: seconds to wait after each failure; the last failure is
        raised.
    :param what: what is tried, for the log.
    """
    left = list(pauses)
    while True:
        before = place()
        try:
            return work()
        except PASSING as exc:
            if place() > before:
                left = list(pauses)
            if not left:
                raise
            LOG.warning('%s goes on in %d seconds: %s', what, left[0], exc)
        _rest(left.pop(0), check)


def _rest(seconds: float, check: Callable[[], None]) -> None:
    check()
    while seconds > 0:
        pause(min(seconds, STEP))
        seconds -= STEP
        check()
