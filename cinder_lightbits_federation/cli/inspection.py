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

"""What must be true of a cluster before it is attached."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import enum

from cinder_lightbits_federation.cli import clusters
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.inventory import Vitals
from cinder_lightbits_federation.lightbits import certificates
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.settings import ClusterSettings
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.views import Connection

FEWEST_NODES = 3
# The release from which on volumes bear labels.
LABELS = (3, 11)

# In the order in which a connection gets to them.
REACHED, TRUSTED, ADMITTED, IDENTIFIED, PROJECT = (
    'endpoints', 'certificate', 'token', 'identity', 'project')
_STEPS = (REACHED, TRUSTED, ADMITTED, IDENTIFIED, PROJECT)
# Of which the rest needs an answer.
CHECKS = len(_STEPS) + 4


class Result(enum.Enum):
    """How a check ended."""

    OK = 'ok'
    WARNING = 'warning'
    FAILED = 'failed'
    SKIPPED = 'not checked'


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    result: Result
    detail: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What a cluster is measured by.

    :param attached: names of the clusters there are, by UUID.
    :param unknown: names of those whose UUID nobody knows now.
    :param project: name in Cinder of the project that must be there.
    :param nodes: how many there must be.
    """

    attached: Mapping[str, str]
    unknown: Sequence[str]
    project: str
    replicas: int
    nodes: int = FEWEST_NODES


class Unfit(Exception):
    """A check has failed; says which and why."""


class Inspection:
    """A look at a cluster that is not attached.

    :ivar checks: what was found, in order; see `run`.
    :ivar told: called with the name of each check that was made; what it
        raises ends the look.
    :ivar vitals: None if it cannot be talked to.
    """

    def __init__(self, settings: ClusterSettings, wanted: Wanted) -> None:
        self.settings = settings
        self.told: Callable[[str], None] = lambda name: None
        self.checks: list[Check] = []
        self.cluster = Cluster(settings, wanted.project, self._identify)
        self._wanted = wanted

    def judge(self) -> None:
        """:raises Unfit: something speaks against the cluster."""
        failed = [item for item in self.checks
                  if item.result is Result.FAILED]
        if failed:
            raise Unfit('; '.join(f'{item.name}: {item.detail}'
                                  for item in failed))

    @property
    def unreachable(self) -> bool:
        """Whether it did not answer at all."""
        return any(item.name == REACHED and item.result is Result.FAILED
                   for item in self.checks)

    @property
    def vitals(self) -> Vitals | None:
        """What the cluster said of itself."""
        return self.cluster.vitals

    def run(self, deadline: Deadline) -> None:
        """Look at everything; never raises what the cluster does wrong."""
        try:
            if self.cluster.refresh(deadline):
                self._talked()
            else:
                self._refused()
        finally:
            self.cluster.close()

    def _identify(self, _cluster: Cluster, uuid: str
                  ) -> errors.SettingProblem | None:
        name = self._wanted.attached.get(uuid)
        if name is None:
            return None
        return errors.SettingProblem(
            self.settings.section, 'cluster_uuid',
            f'cluster {uuid} is attached already, as {name}')

    def _add(self, name: str, result: Result, detail: str = '') -> None:
        self.checks.append(Check(name, result, detail))
        self.told(name)

    # Without a proper answer

    def _refused(self) -> None:
        """Tell how far it went: what comes before was good."""
        failed, reason = self._step(), self.cluster.status.reason
        for step in _STEPS:
            position = _STEPS.index(step) - _STEPS.index(failed)
            if position < 0:
                self._add(step, Result.OK, self._detail(step))
            elif position == 0:
                self._add(step, Result.FAILED, self._why(step, reason))
            else:
                self._add(step, Result.SKIPPED)

    def _step(self) -> str:
        status = self.cluster.status
        option = status.problem.option if status.problem else ''
        if status.connection is Connection.UNAUTHORIZED:
            return ADMITTED
        if status.connection is Connection.WRONG_IDENTITY:
            return IDENTIFIED
        if status.connection is not Connection.MISCONFIGURED:
            return REACHED
        return {'cluster_uuid': IDENTIFIED, 'project_map': PROJECT}.get(
            option, TRUSTED)

    def _why(self, step: str, reason: str) -> str:
        if step is not TRUSTED:
            return reason
        return (f'{reason}. It presents {self._detail(step)}: compare that '
                f'by another way before you trust it with --fingerprint')

    def _detail(self, step: str) -> str:
        if step is REACHED:
            return '; '.join(map(str, self.settings.client.seeds))
        return self._presented() if step is TRUSTED else ''

    def _presented(self) -> str:
        client = self.settings.client
        told = []
        for seed in client.seeds:
            try:
                found = certificates.presented(seed, client.connect_timeout)
            except lb_errors.Unreachable:
                continue
            text = (f'SHA-256 {found.fingerprint} ({found.subject}, until '
                    f'{found.not_after:%Y-%m-%d})')
            if text not in told:
                told.append(text)
        return ', '.join(told)

    # With one

    def _talked(self) -> None:
        self._endpoints()
        insecure = self.settings.client.tls.insecure
        self._add(TRUSTED, Result.WARNING if insecure else Result.OK,
                  'anybody is trusted' if insecure else self._presented())
        self._add(ADMITTED, Result.OK, self.settings.token_option
                  if self.settings.tokens.bearer(self._project)
                  else 'none, and none is needed')
        self._identity()
        self._add(PROJECT, Result.OK, self._project)
        vitals = self.vitals
        if vitals is not None:
            self._version(vitals)
            self._replicas(vitals)
            self._nodes()
            self._health(vitals)

    @property
    def _project(self) -> str:
        return self.settings.project(self._wanted.project)

    def _endpoints(self) -> None:
        states = clusters.tried(self.cluster, self._wanted.project)
        down = [text for text in states if '): down' in text]
        self._add(REACHED, Result.WARNING if down else Result.OK,
                  '; '.join(down or states))

    def _identity(self) -> None:
        detail = str(self.cluster.uuid)
        if not self._wanted.unknown:
            self._add(IDENTIFIED, Result.OK, detail)
            return
        self._add(IDENTIFIED, Result.WARNING,
                  f'{detail}; nobody knows whether that is '
                  f'{" or ".join(self._wanted.unknown)}, which do not answer '
                  f'and have no cluster_uuid')

    def _version(self, vitals: Vitals) -> None:
        if vitals.version is None:
            self._add('version', Result.OK, 'not told to a token of one '
                      'project')
            return
        text = '.'.join(map(str, vitals.version))
        if vitals.version < LABELS:
            self._add('version', Result.WARNING,
                      f'{text}; before {".".join(map(str, LABELS))} volumes '
                      f'bear no labels')
        else:
            self._add('version', Result.OK, text)

    def _replicas(self, vitals: Vitals) -> None:
        most, wanted = vitals.info.current_max_replicas, self._wanted.replicas
        self._add('replicas',
                  Result.OK if most >= wanted else Result.FAILED,
                  f'{most} at most' if most >= wanted else
                  f'{most} at most, and lightbits_default_num_replicas is '
                  f'{wanted}')

    def _nodes(self) -> None:
        try:
            count = len(self.cluster.client.nodes(self._project))
        except (lb_errors.Forbidden, lb_errors.NotFound,
                lb_errors.Unsupported):
            self._add('nodes', Result.WARNING,
                      'not told to a token of one project')
            return
        enough = count >= self._wanted.nodes
        self._add('nodes', Result.OK if enough else Result.FAILED,
                  str(count) if enough else
                  f'{count}, and at least {self._wanted.nodes} are wanted '
                  f'(--min-nodes)')

    def _health(self, vitals: Vitals) -> None:
        if vitals.info.upgrade is model.UpgradeStatus.UPGRADING:
            self._add('health', Result.WARNING, 'an upgrade is under way')
        elif vitals.health in (model.HealthState.OK,
                               model.HealthState.UNKNOWN):
            self._add('health', Result.OK, vitals.health.value)
        else:
            self._add('health', Result.WARNING, vitals.health.value)
