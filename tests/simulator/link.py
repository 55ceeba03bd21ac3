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

"""The test's side of the control API."""

from __future__ import annotations

import collections.abc
import http.client
import json
import typing

_TIMEOUT = 60


class SimulatorError(Exception):
    """The simulator refused a control call or does not run."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """The control API; each call has a connection of its own.

    :param address: `ip:port`.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def call(
        self,
        method: str,
        path: str,
        body: collections.abc.Mapping[str, object] | None = None,
    ) -> typing.Any:
        """Return the parsed answer.

        :raises SimulatorError: with the text and status of a refusal.
        """
        host, _, port = self._address.rpartition(':')
        connection = http.client.HTTPConnection(
            host, int(port), timeout=_TIMEOUT
        )
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except OSError as err:
            raise SimulatorError(
                f'the simulator does not answer: {err}'
            ) from err
        finally:
            connection.close()
        if response.status != 200:
            raise SimulatorError(answer['error'], response.status)
        return answer
