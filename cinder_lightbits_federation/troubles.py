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

"""What an error says of the whole cluster: how it is connected, and why."""

from __future__ import annotations

import dataclasses

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.settings import ClusterSettings
from cinder_lightbits_federation.timing import DeadlineExceeded
from cinder_lightbits_federation.views import Connection

# What TLS says of a good certificate of another name (CPython, _ssl.c).
OTHER_NAME = 'certificate is not valid for'


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """How the cluster is connected and, if it is not, why."""

    connection: Connection
    problem: errors.SettingProblem | None = None

    @property
    def reason(self) -> str:
        """Empty while connected."""
        return str(self.problem) if self.problem else ''


def last_word(exc: BaseException) -> lb_errors.LightbitsError | None:
    """:returns: what a call met last, of what has led to an error."""
    told: BaseException | None = exc
    while told is not None:
        if isinstance(told, lb_errors.LightbitsError):
            return told
        if (isinstance(told, DeadlineExceeded)
                and isinstance(told.last, lb_errors.LightbitsError)):
            return told.last
        told = told.__cause__
    return None


def status_for(told: ClusterSettings, exc: lb_errors.LightbitsError
               ) -> Status | None:
    """:returns: None for an error that says nothing of the whole cluster."""
    if isinstance(exc, lb_errors.WrongCluster):
        return Status(Connection.WRONG_IDENTITY, errors.SettingProblem(
            told.section, 'cluster_uuid', exc.message))
    if isinstance(exc, lb_errors.Untrusted):
        option = ('tls_server_name' if OTHER_NAME in exc.message
                  else told.trust_option)
        return Status(Connection.MISCONFIGURED, errors.SettingProblem(
            told.section, option, exc.message))
    if isinstance(exc, lb_errors.NoCredential | lb_errors.Unauthorized):
        return Status(Connection.UNAUTHORIZED, errors.SettingProblem(
            told.section, told.token_option, exc.message))
    if isinstance(exc, lb_errors.NotSent):
        return disconnected(told, exc.message)
    return None


def disconnected(told: ClusterSettings, why: str) -> Status:
    """:returns: that the cluster cannot be counted on, and why."""
    return Status(Connection.DISCONNECTED, errors.SettingProblem(
        told.section, 'api_endpoints', why))
