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

"""One cluster at run time: its client, breaker and what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import logging
import threading
import time

from cinder_lightbits_federation.breaker import Breaker
from cinder_lightbits_federation.capacity import Source
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.factbook import FactBook
from cinder_lightbits_federation import inventory
from cinder_lightbits_federation.lightbits import client as lb_client
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.memory import EndpointMemory
from cinder_lightbits_federation.settings import ClusterSettings
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import DeadlineExceeded
from cinder_lightbits_federation.timing import Pace
from cinder_lightbits_federation.troubles import disconnected
from cinder_lightbits_federation.troubles import last_word
from cinder_lightbits_federation.troubles import Status
from cinder_lightbits_federation.troubles import status_for
from cinder_lightbits_federation.views import AdminState
from cinder_lightbits_federation.views import ALLOWED
from cinder_lightbits_federation.views import ClusterView
from cinder_lightbits_federation.views import Connection
from cinder_lightbits_federation.views import Use

LOG = logging.getLogger(__name__)

LABELS_SINCE = (3, 11)
# Seconds of looks in vain after which nobody can say how full a cluster is
# that otherwise answers. Less than reservations are remembered.
BLIND = 60.0
# A look with this share of a call's time is one that proves something.
PATIENCE = 0.9


class Cluster:
    """Thread-safe. Opens no connection before the first call.

    :param memory: keeps the endpoints over restarts; None for not at all.
    :param identify: called with the UUID at first contact; returns why this
        cluster must not serve (another section has it already), or None.
    """

    def __init__(self, settings: ClusterSettings, default_project: str,
                 identify: Callable[[Cluster, str],
                                    errors.SettingProblem | None],
                 memory: EndpointMemory | None = None) -> None:
        self.settings = settings
        self.client = lb_client.LightbitsClient(settings.client,
                                                settings.tokens)
        self.breaker = Breaker()
        self.volume_pace = Pace()
        self.snapshot_pace = Pace()
        self.wanted = threading.Event()
        self._identify = identify
        self._memory = memory
        self._kept: tuple[str, ...] = ()
        if memory is not None and self.client.uuid is not None:
            self._kept = memory.recall(self.client.uuid)
            self.client.recall(self._kept)
        self._default_project = default_project
        self._project = settings.project(default_project)
        self._refreshing = threading.Lock()
        self._vitals: inventory.Vitals | None = None
        self._facts = FactBook(settings.name)
        self._looks = 0
        self._suspect = False
        # Why its state cannot be read, empty when it can; and since when.
        self.unread = ''
        self._unread_since = 0.0
        self._status = Status(Connection.CONNECTING)
        # Another one after every change that a view shows.
        self.edition = object()

    @property
    def name(self) -> str:
        """The name in the configuration."""
        return self.settings.name

    @property
    def uuid(self) -> str | None:
        """The cluster's UUID: configured, or learned at first contact."""
        return self.client.uuid

    @property
    def admin_state(self) -> AdminState:
        """What the cluster may be used for."""
        return self.settings.admin_state

    def allows(self, use: Use) -> bool:
        """Whether the administrative state permits a use."""
        return use in ALLOWED[self.admin_state]

    def adopt(self, settings: ClusterSettings) -> None:
        """Take over settings that differ in what the client does not see."""
        if settings.admin_state is not self.admin_state:
            LOG.warning('Cluster %s: administrative state %s, was %s.',
                        self.name, settings.admin_state.value,
                        self.admin_state.value)
        if settings.project_map != self.settings.project_map:
            self._facts.doubt()
        self.settings = settings
        self._project = settings.project(self._default_project)
        self.edition = object()
        self.wanted.set()

    @property
    def status(self) -> Status:
        """How it is connected."""
        return self._status

    @property
    def vitals(self) -> inventory.Vitals | None:
        """The last sample, None before the first contact."""
        return self._vitals

    @property
    def has_labels(self) -> bool:
        """Whether the cluster keeps labels, as far as is known."""
        version = self._vitals.version if self._vitals else None
        return version is None or version >= LABELS_SINCE

    @property
    def suspect(self) -> bool:
        """Whether it did not answer a look in time and nobody knows why."""
        return self._suspect

    def doubt(self) -> None:
        """Somebody waited for a look in vain: have it looked at properly."""
        self._suspect = True
        self.wanted.set()

    @contextlib.contextmanager
    def api(self, deadline: Deadline | None = None
            ) -> Iterator[lb_client.LightbitsClient]:
        """The client, guarded: refused at once while the cluster is down.

        :param deadline: of the operation. A cluster that is not reached when
            that is over is not held to be down, but looked at again.
        :raises Unreachable: the breaker is open or the cluster may not be
            used; nothing was sent.
        """
        self._refuse_when_down()
        try:
            yield self.client
        except (lb_errors.NoCredential, lb_errors.Unauthorized):
            # Perhaps of one project only: the next look tells.
            self.wanted.set()
            raise
        except lb_errors.LightbitsError as exc:
            self._take_note(exc, deadline)
            raise
        except (errors.OutcomeUnknown, DeadlineExceeded) as exc:
            said = last_word(exc)
            if said is not None:
                self._take_note(said, deadline)
            raise
        else:
            self.breaker.answered()

    def refresh(self, deadline: Deadline, since: float | None = None
                ) -> bool:
        """Look at the cluster now, whatever the breaker says.

        Never raises what the cluster does wrong: the status says it. When
        another thread is looking already, waits for that look instead. A
        look that had less time than a call may take proves nothing when it
        runs out; the cluster is then `suspect` until a patient look.

        :param since: a look that began at this moment (monotonic seconds) or
            later will do; None for one that begins now.
        :returns: whether the cluster answered properly.
        """
        if since is None:
            since = time.monotonic()
        if not self._refreshing.acquire(timeout=deadline.remaining()):
            self.doubt()
            return False
        try:
            if self._seen_since(since):
                return True
            patient = self._has_patience(deadline)
            good = self._look(deadline, patient)
        finally:
            self.edition = object()
            self._refreshing.release()
        # Whoever waits for the look waits for no facts.
        if good and patient and self._facts.doubtful:
            self.relearn(deadline, since)
        return good

    def relearn(self, deadline: Deadline, since: float) -> None:
        """Read projects, policies and failure domains again.

        Looks go on meanwhile, and need not wait for it. Where it fails, what
        is known still holds.

        :param since: a reading that began at this moment (monotonic seconds)
            or later will do, even if it failed.
        """
        vitals = self._vitals
        if vitals is None:
            return
        self._facts.renew(self.client, self._project, vitals.cluster_rights,
                          deadline, since)
        problem = self._project_problem()
        if problem and self._status.connection is Connection.CONNECTED:
            self._set_status(Status(Connection.MISCONFIGURED, problem))
        self.edition = object()

    def lacks(self, project: str, deadline: Deadline) -> bool:
        """Whether the cluster itself says that it has no such project.

        :returns: False when the token cannot tell.
        :raises LightbitsError: the cluster does not answer properly.
        """
        vitals = self._vitals
        if vitals is None or not vitals.cluster_rights:
            return False
        with self.api(deadline) as client:
            known = client.projects(self._project, deadline=deadline)
        return project not in {item.name for item in known}

    def stale(self, max_age: float) -> bool:
        """Whether the last sample should be taken again.

        One that summed up all volumes is left to the keeper at any age: a
        placement cannot wait while thousands are listed, and the total is
        not known anyway.

        :param max_age: seconds.
        """
        vitals = self._vitals
        if vitals is None:
            return True
        return (vitals.capacity.source is not Source.VOLUMES
                and time.monotonic() - vitals.taken_at > max_age)

    def view(self, reserved: int, recent_creates: int,
             unknown_to: tuple[str, ...] = ()) -> ClusterView:
        """:returns: an immutable picture for the placement."""
        vitals, status = self._vitals, self._status
        facts = self._facts.known
        return ClusterView(
            uuid=self.uuid or '', name=self.name,
            admin_state=self.admin_state, connection=status.connection,
            reason=status.reason,
            capacity=vitals.capacity if vitals else None,
            reserved=reserved,
            max_replicas=(vitals.info.current_max_replicas
                          if vitals else None),
            projects=self._projects(),
            qos_policies=facts.qos_policies if facts else None,
            failure_domains=facts.failure_domains if facts else None,
            upgrading=(vitals is not None and vitals.info.upgrade
                       is model.UpgradeStatus.UPGRADING),
            recent_creates=recent_creates,
            observed_at=vitals.taken_at if vitals else None,
            unknown_to=unknown_to)

    def _projects(self) -> frozenset[str] | None:
        """The cluster's projects by the names the federation has for them."""
        facts = self._facts.known
        known = facts.projects if facts else None
        mapped = self.settings.project_map
        if known is None or not mapped:
            return known
        return frozenset(known - mapped.keys()).union(
            name for name, local in mapped.items() if local in known)

    def close(self) -> None:
        """Close all connections."""
        self.client.close()

    def _refuse_when_down(self) -> None:
        if not self.allows(Use.ASK):
            raise lb_errors.Unreachable('declared lost', cluster=self.name)
        problem = self._status.problem
        if self._status.connection in (Connection.MISCONFIGURED,
                                       Connection.WRONG_IDENTITY):
            raise lb_errors.Unreachable(f'not in use: {problem}',
                                        cluster=self.name)
        broken = self.breaker.state
        if broken is not None:
            age = time.monotonic() - broken.since
            raise lb_errors.Unreachable(
                f'down for {age:.0f} s: {broken.reason}', cluster=self.name)

    def _seen_since(self, moment: float) -> bool:
        vitals = self._vitals
        return vitals is not None and vitals.taken_at >= moment

    def _has_patience(self, deadline: Deadline) -> bool:
        return (deadline.remaining()
                >= self.settings.client.api_timeout * PATIENCE)

    def _look(self, deadline: Deadline, patient: bool) -> bool:
        try:
            vitals = inventory.take_vitals(self.client, self._project,
                                           deadline, self._vitals)
            if self._facts_due(vitals):
                self._facts.doubt()
            if self._facts_needed():
                self._facts.read(self.client, self._project,
                                 vitals.cluster_rights, deadline)
        except (lb_errors.LightbitsError, DeadlineExceeded) as exc:
            if deadline.expired() and not patient:
                self.doubt()
            else:
                self._look_failed(
                    exc if isinstance(exc, lb_errors.LightbitsError)
                    else lb_errors.Unreachable(str(exc)))
            return False
        self._looks += 1
        self.unread = ''
        return self._accept(vitals)

    def _facts_due(self, vitals: inventory.Vitals) -> bool:
        return (self._facts.due(self._looks)
                or self._changed_release(vitals))

    def _facts_needed(self) -> bool:
        """Whether a look cannot tell without reading the facts, too.

        So it is at first, and while the cluster is out of service for what
        they say: else an administrator waits long for what he has mended.
        """
        return (self._facts.known is None
                or self._status.connection is Connection.MISCONFIGURED
                or (self._facts.doubtful
                    and self._project_problem() is not None))

    def _look_failed(self, exc: lb_errors.LightbitsError) -> None:
        """Note that the state cannot be read.

        A cluster that fails at nothing else keeps what is on it, and the
        breaker closed; but it gets no new volumes when what is known of its
        room has become too old.
        """
        self._failed(exc)
        now = time.monotonic()
        if not self.unread:
            self._unread_since = now
        self.unread = exc.message
        too_old = (self._vitals is None
                   or now - self._unread_since >= BLIND)
        if too_old and self._status.connection in (Connection.CONNECTING,
                                                   Connection.CONNECTED):
            self._set_status(disconnected(
                self.settings, f'its state cannot be read: {exc.message}'))

    def _changed_release(self, vitals: inventory.Vitals) -> bool:
        """Whether an upgrade has begun or ended: it may do more now."""
        before = self._vitals
        return before is not None and (
            (before.version, before.info.upgrade)
            != (vitals.version, vitals.info.upgrade))

    def _keep_endpoints(self, vitals: inventory.Vitals) -> None:
        found = vitals.info.api_endpoints
        if self._memory is not None and found and found != self._kept:
            self._kept = found
            self._memory.keep(vitals.info.uuid, found)

    def _accept(self, vitals: inventory.Vitals) -> bool:
        problem = (self._identify(self, vitals.info.uuid)
                   or self._project_problem())
        if problem is not None:
            self._set_status(Status(Connection.MISCONFIGURED, problem))
            return False
        self.client.learn(vitals.info.api_endpoints)
        self._keep_endpoints(vitals)
        self._vitals = vitals
        self._suspect = False
        self.breaker.close()
        self._set_status(Status(Connection.CONNECTED))
        return True

    def _project_problem(self) -> errors.SettingProblem | None:
        return self._facts.problem(self.settings.section, self._project)

    def _take_note(self, exc: lb_errors.LightbitsError,
                   deadline: Deadline | None) -> None:
        """Note what an operation has met."""
        if (isinstance(exc, lb_errors.Unreachable)
                and deadline is not None and deadline.expired()):
            self.doubt()
        else:
            self._failed(exc)

    def _failed(self, exc: lb_errors.LightbitsError) -> None:
        """Note what an error says of the whole cluster."""
        now = time.monotonic()
        status = status_for(self.settings, exc)
        if status is not None:
            opened = (status.connection is Connection.DISCONNECTED
                      and self.breaker.unreachable(exc.message, now))
            if opened or self._status.connection is not status.connection:
                self._set_status(status)
                self.wanted.set()
        elif isinstance(exc, lb_errors.Ambiguous):
            if self.breaker.reply_lost(exc.message, now):
                self._set_status(disconnected(self.settings, exc.message))
                self.wanted.set()
        else:
            self.breaker.answered()

    def _set_status(self, status: Status) -> None:
        before, self._status = self._status, status
        self.edition = object()
        if before == status:
            return
        if status.connection is Connection.CONNECTED:
            LOG.info('Cluster %s (%s) is connected.', self.name, self.uuid)
        elif before.connection is not status.connection:
            LOG.error('Cluster %s is %s: %s', self.name,
                      status.connection.value, status.reason)
