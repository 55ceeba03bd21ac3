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

"""The errors a cluster answers with, as gRPC codes and HTTP statuses."""

from __future__ import annotations

import enum


class Code(enum.IntEnum):
    """gRPC status codes; the number is the ``code`` of an error body."""

    CANCELED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


# The mapping of the stock REST gateway.
HTTP_STATUS = {
    Code.CANCELED: 408,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}

# What a status without a code of its own is reported as.
CODE_OF_STATUS = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    408: Code.CANCELED,
    409: Code.ALREADY_EXISTS,
    412: Code.FAILED_PRECONDITION,
    429: Code.RESOURCE_EXHAUSTED,
    500: Code.INTERNAL,
    501: Code.UNIMPLEMENTED,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}


class ApiError(Exception):
    """A request a cluster refuses.

    :param code: the gRPC code.
    :param message: text for ``error`` and ``message``.
    :param status: HTTP status, where it differs from the stock mapping.
    """

    def __init__(
        self, code: Code, message: str, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = HTTP_STATUS[code] if status is None else status


class ControlError(Exception):
    """A request of the control API that cannot be served.

    :param message: names the option, field or object at fault.
    :param status: HTTP status of the answer.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def invalid(message: str) -> ApiError:
    """A bad or missing argument (400)."""
    return ApiError(Code.INVALID_ARGUMENT, message)


def not_found(message: str) -> ApiError:
    """An object that does not exist (404)."""
    return ApiError(Code.NOT_FOUND, message)


def exists(message: str) -> ApiError:
    """A name that is taken (409)."""
    return ApiError(Code.ALREADY_EXISTS, message)


def denied(message: str) -> ApiError:
    """A valid token without the right (403)."""
    return ApiError(Code.PERMISSION_DENIED, message)


def unauthenticated(message: str) -> ApiError:
    """A missing, bad or expired token (401)."""
    return ApiError(Code.UNAUTHENTICATED, message)


def by_status(status: int, message: str) -> ApiError:
    """An error answered with `status`, with the code that suits it."""
    code = CODE_OF_STATUS.get(status, Code.UNKNOWN)
    return ApiError(code, message, status)
