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

"""One operation of the API, carried through lost endpoints.

What may be repeated follows from what may have happened:

* The request did not leave: the next endpoint, whatever the method.
* It left and no whole answer came: a read is repeated, a write ends as
  `errors.Ambiguous`.
* It was answered: the status decides, see `errors.for_status`. Reads try
  another endpoint after a 5xx or an unreadable answer. The documented 503
  and 429 say that nothing was applied; they are repeated until the
  deadline. After a 401 the token is renewed once.
"""

from __future__ import annotations

import functools
from importlib import metadata
import time
from typing import Any

from cinder_lightbits_federation.lightbits import config as client_config
from cinder_lightbits_federation.lightbits import connection
from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import exchange
from cinder_lightbits_federation.lightbits import pools
from cinder_lightbits_federation.lightbits import tokens
from cinder_lightbits_federation import timing

PROJECT = 'cinder-lightbits-federation'

_BUSY = (errors.Unavailable, errors.TooManyRequests, connection.NotReady)
_NEXT = (errors.Unreachable, errors.Untrusted, errors.WrongCluster,
         errors.ServerError, errors.InvalidReply)

# Of several failures of one round, the first of these that occurred is the
# one to report: an answer says more than silence.
_TELLING = (errors.ServerError, errors.InvalidReply, errors.WrongCluster,
            errors.Untrusted, connection.NotReady)


@functools.cache
def user_agent() -> str:
    """:returns: name and version of this project."""
    try:
        return f'{PROJECT}/{metadata.version(PROJECT)}'
    except metadata.PackageNotFoundError:
        return PROJECT


class Operation:
    """A call with its deadline; used once, by one thread.

    :param limit: for everything, repetitions included.
    """

    def __init__(self, config: client_config.ClientConfig,
                 selector: endpoints.EndpointSelector, pool: pools.Pools,
                 source: tokens.TokenSource, call: exchange.Call,
                 limit: timing.Deadline) -> None:
        self._config = config
        self._selector = selector
        self._pools = pool
        self._tokens = source
        self._call = call
        self._limit = limit
        self._busy: endpoints.Endpoint | None = None

    def run(self) -> dict[str, Any]:
        """Carry the call through; see `transport.Transport.request`."""
        following = timing.pauses()
        while True:
            try:
                return self._authorized()
            except _BUSY:
                pause = following()
                if self._limit.remaining() <= pause:
                    raise
                timing.pause(pause)

    def _authorized(self) -> dict[str, Any]:
        """Do a round, and once again with another token after a 401."""
        project = self._call.project
        token = self._tokens.bearer(project)
        try:
            return self._round(token)
        except errors.Unauthorized:
            fresh = self._tokens.bearer(project)
            # Unless another thread has renewed it meanwhile.
            if fresh == token:
                if not self._tokens.renew(project):
                    raise
                fresh = self._tokens.bearer(project)
        return self._round(fresh)

    def _round(self, token: str | None) -> dict[str, Any]:
        """Ask the endpoints in order until one answers."""
        headers = {'Accept': 'application/json', 'User-Agent': user_agent()}
        if token is not None:
            headers['Authorization'] = f'Bearer {token}'
        plan = self._plan()
        limit = self._limit.capped(self._config.api_timeout)
        troubles: list[tuple[endpoints.Endpoint, errors.LightbitsError]] = []
        while plan and not limit.expired():
            endpoint = plan.pop(0)
            try:
                return self._attempt(endpoint, headers,
                                     self._patience(limit, last=not plan))
            except exchange.PoolClosed:
                # By another thread, whose call has failed there.
                plan.insert(0, endpoint)
            except exchange.LostReply as lost:
                if self._call.write:
                    raise errors.Ambiguous(
                        f'no answer from {endpoint}: {lost}') from lost
                if not lost.timed_out and not _lost_before(troubles,
                                                           endpoint):
                    # A kept-alive connection that broke says little.
                    plan.insert(0, endpoint)
                troubles.append((endpoint, errors.Unreachable(
                    f'no answer: {lost}')))
            except _NEXT as error:
                troubles.append((endpoint, error))
        raise _summary(troubles)

    def _plan(self) -> list[endpoints.Endpoint]:
        """The endpoints in order; the one that was busy comes last."""
        return sorted(self._selector.candidates(time.monotonic()),
                      key=lambda endpoint: endpoint == self._busy)

    def _attempt(self, endpoint: endpoints.Endpoint,
                 headers: dict[str, str], patience: timing.Deadline
                 ) -> dict[str, Any]:
        try:
            reply = exchange.exchange(
                self._pools.get(endpoint), self._call, headers,
                self._config.connect_timeout, patience)
        except (errors.NotSent, exchange.LostReply) as error:
            self._failed(endpoint, error)
            raise
        data = reply.object()
        if reply.ok and data is not None:
            self._selector.succeeded(endpoint)
            return data
        refusal = self._refusal(reply)
        if isinstance(refusal, _BUSY):
            self._busy = endpoint
        elif not isinstance(refusal, _NEXT):
            self._selector.succeeded(endpoint)
        raise refusal

    def _patience(self, limit: timing.Deadline, *, last: bool
                  ) -> timing.Deadline:
        """How long to wait for one endpoint.

        A read that has another endpoint left keeps half of its time for
        it, should a connection be frozen. A write cannot be repeated.

        :param limit: for all endpoints.
        """
        if self._call.write or last:
            return limit
        return limit.capped(limit.remaining() / 2)

    def _failed(self, endpoint: endpoints.Endpoint,
                error: errors.NotSent | exchange.LostReply) -> None:
        """Remember a failure; connections that may share it are closed."""
        self._pools.drop(endpoint)
        if isinstance(error, exchange.LostReply) and not error.timed_out:
            return
        self._selector.failed(
            endpoint, time.monotonic(), str(error),
            quarantine=isinstance(error, errors.WrongCluster))

    def _refusal(self, reply: exchange.Reply) -> errors.LightbitsError:
        text, code = reply.error_body()
        if reply.ok:
            text = f'the answer is not a JSON object: {text!r}'
        return errors.for_status(
            reply.status, text, write=self._call.write,
            documented=code is not None and not reply.ok, code=code)


def _lost_before(troubles: list[tuple[endpoints.Endpoint,
                                      errors.LightbitsError]],
                 endpoint: endpoints.Endpoint) -> bool:
    return any(endpoint == known for known, _error in troubles)


def _summary(troubles: list[tuple[endpoints.Endpoint,
                                  errors.LightbitsError]],
             ) -> errors.LightbitsError:
    """Choose the error of a round that no endpoint has answered."""
    for _endpoint, error in troubles:
        if isinstance(error, _TELLING):
            return error
    texts = '; '.join(f'{endpoint}: {error.message}'
                      for endpoint, error in troubles)
    return errors.Unreachable(
        f'no API endpoint answers: {texts}' if texts else 'no time left')
