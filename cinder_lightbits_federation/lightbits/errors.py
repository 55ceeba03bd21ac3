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

"""What may have happened when a call to a cluster failed.

::

    LightbitsError
     +- NotSent               certainly not applied: the request did not leave
     |   +- Unreachable       no API endpoint could be connected
     |   +- Untrusted         TLS: certificate, server name or fingerprint
     |   +- WrongCluster      another cluster answers at the address
     |   +- NoCredential      token or key missing, unreadable or unusable
     +- Ambiguous             the request left, its outcome is not known
     +- InvalidReply          a read was answered with something unreadable
     +- Rejected              the cluster answered no; nothing was applied
         +- BadRequest 400    +- Unauthorized 401   +- Forbidden 403
         +- NotFound 404      +- Conflict 409       +- PreconditionFailed 412
         +- TooManyRequests 429  +- Unsupported 501 +- Unavailable 503
         +- ServerError       500 and others; only ever raised for reads

Which status becomes which class is decided in one place, `for_status`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Self


class LightbitsError(Exception):
    """Root of everything the client raises.

    :param message: a sentence without secrets.
    :param cluster: name of the cluster, as configured.
    :param operation: what was asked, such as ``volumes.create``.
    """

    def __init__(self, message: str, *, cluster: str = '',
                 operation: str = '') -> None:
        self.message = message
        self.cluster = cluster
        self.operation = operation
        super().__init__(message)

    def located(self, cluster: str, operation: str) -> Self:
        """Add what is not known where an error arises.

        :returns: the same error.
        """
        self.cluster = self.cluster or cluster
        self.operation = self.operation or operation
        return self

    def __str__(self) -> str:
        where = f'cluster {self.cluster}: ' if self.cluster else ''
        what = f'{self.operation}: ' if self.operation else ''
        return f'{where}{what}{self.message}'


class NotSent(LightbitsError):
    """The request did not leave this host; nothing was applied."""


class Unreachable(NotSent):
    """No API endpoint could be connected."""


class Untrusted(NotSent):
    """An endpoint's certificate is not the one that is trusted."""


class WrongCluster(NotSent):
    """Another cluster than the expected one answers at an address.

    :param expected: UUID that was expected.
    :param found: UUID that answered.
    """

    def __init__(self, expected: str, found: str, endpoint: str, *,
                 cluster: str = '') -> None:
        self.expected = expected
        self.found = found
        super().__init__(
            f'endpoint {endpoint} belongs to cluster {found}, expected '
            f'{expected}', cluster=cluster)


class NoCredential(NotSent):
    """No usable token or key."""


class Ambiguous(LightbitsError):
    """The request left but its outcome is unknown: it may be applied."""


class InvalidReply(LightbitsError):
    """A read was answered with something that is not the documented form."""


class Rejected(LightbitsError):
    """The cluster answered that it did not do it.

    :param status: HTTP status.
    :param code: gRPC code of the error body, if there was one.
    """

    def __init__(self, message: str, *, status: int, code: int | None = None,
                 cluster: str = '', operation: str = '') -> None:
        self.status = status
        self.code = code
        super().__init__(f'{message} (HTTP {status})', cluster=cluster,
                         operation=operation)


class BadRequest(Rejected):
    """400: a bad argument, or the object is in a wrong state."""


class Unauthorized(Rejected):
    """401: the token is missing, malformed or expired."""


class Forbidden(Rejected):
    """403: the token has no right to this."""


class NotFound(Rejected):
    """404: no such object."""


# How a cluster refuses to list what is in a project that it does not have: as
# a bad argument if the user may see all projects.
NO_PROJECT = (NotFound, Forbidden, BadRequest)


class Conflict(Rejected):
    """409: the name is taken (create) or the object is busy (others)."""


class PreconditionFailed(Rejected):
    """412: the object changed since it was read, or is in a wrong state."""


class TooManyRequests(Rejected):
    """429: the cluster has too much to do."""


class Unsupported(Rejected):
    """501: this cluster cannot do that."""


class Unavailable(Rejected):
    """503: the object or service is in a temporary state."""


class ServerError(Rejected):
    """500 or an undocumented status, for a read."""


_BY_STATUS: dict[int, type[Rejected]] = {
    HTTPStatus.BAD_REQUEST: BadRequest,
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.PRECONDITION_FAILED: PreconditionFailed,
    HTTPStatus.TOO_MANY_REQUESTS: TooManyRequests,
    HTTPStatus.NOT_IMPLEMENTED: Unsupported,
    HTTPStatus.SERVICE_UNAVAILABLE: Unavailable,
}

# An ETag mismatch was seen as HTTP 500 with this inside its text.
_ETAG_MARK = 'code:412'

# Whoever answers these, a proxy even, did so before anything was applied.
_REFUSED_BEFORE_ANYTHING = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def for_status(status: int, message: str, *, write: bool, documented: bool,
               code: int | None = None, cluster: str = '',
               operation: str = '') -> LightbitsError:
    """Choose the error for an HTTP status that is not a success.

    :param write: whether the call changes something.
    :param documented: whether the body had the API's own error form; a
        proxy's page proves nothing about what the cluster did, and not
        even its 404 that an object is gone.
    :param code: gRPC code of the error body.
    :returns: the error to raise.
    """
    known = _BY_STATUS.get(status)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR and _ETAG_MARK in message:
        known, documented = PreconditionFailed, True
    if documented or status in _REFUSED_BEFORE_ANYTHING:
        if known is not None:
            return known(message, status=status, code=code, cluster=cluster,
                         operation=operation)
    elif not write and status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return InvalidReply(f'{message} (HTTP {status})', cluster=cluster,
                            operation=operation)
    if write:
        return Ambiguous(f'{message} (HTTP {status})', cluster=cluster,
                         operation=operation)
    return ServerError(message, status=status, code=code, cluster=cluster,
                       operation=operation)
