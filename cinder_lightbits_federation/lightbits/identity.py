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

"""Which cluster is at the other end."""

from __future__ import annotations

import threading

from cinder_lightbits_federation.lightbits import errors


class Identity:
    """The UUID every endpoint must prove to have; thread-safe.

    :param expected: the UUID; None pins the first one that answers.
    """

    def __init__(self, name: str, expected: str | None) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._uuid = expected
        self._proven = False

    @property
    def uuid(self) -> str | None:
        """The expected or pinned UUID; None before the first answer."""
        return self._uuid

    @property
    def proven(self) -> bool:
        """Whether an endpoint has ever proved to be this cluster."""
        return self._proven

    def check(self, found: str, endpoint: str) -> None:
        """Compare the UUID that `endpoint` gave, and pin the first one.

        :raises WrongCluster: it is another one.
        """
        with self._lock:
            expected = self._uuid or found
            if expected != found:
                raise errors.WrongCluster(expected, found, endpoint,
                                          cluster=self._name)
            self._uuid = expected
            self._proven = True
