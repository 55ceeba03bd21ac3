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

"""What changes by the month of a cluster, and when it is read again."""

from __future__ import annotations

import contextlib
import logging
import threading
import time

from cinder_lightbits_federation import errors
from cinder_lightbits_federation import inventory
from cinder_lightbits_federation.lightbits import client as lb_client
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import DeadlineExceeded

LOG = logging.getLogger(__name__)

# Projects, policies and failure domains are read again every so many looks.
FACTS_EVERY = 20


class FactBook:
    """The facts of one cluster. Thread-safe; one reads them at a time.

    :param name: of the cluster, for the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.known: inventory.Facts | None = None
        # Monotonic seconds of the last reading, even if it failed.
        self.read_at = float('-inf')
        self._doubtful = True
        self._failing = False
        self._reading = threading.Lock()

    @property
    def doubtful(self) -> bool:
        """Whether they are to be read again; until then these hold."""
        return self._doubtful

    def doubt(self) -> None:
        """Have them read again by the next patient look."""
        self._doubtful = True

    def due(self, looks: int) -> bool:
        """Whether a look is to read them.

        :param looks: good ones before it.
        """
        return self._doubtful or not looks % FACTS_EVERY

    def read(self, client: lb_client.LightbitsClient, project: str,
             cluster_rights: bool, deadline: Deadline,
             since: float = float('inf')) -> None:
        """Ask the cluster. Arguments and errors as of `take_facts`.

        :param since: a reading that began at this moment (monotonic seconds)
            or later will do, even if it failed.
        :raises DeadlineExceeded: another thread reads for all that time.
        """
        if not self._reading.acquire(timeout=deadline.remaining()):
            raise DeadlineExceeded('projects and policies are being read')
        try:
            if self.read_at < since:
                self._ask(client, project, cluster_rights, deadline)
        finally:
            self._reading.release()

    def renew(self, client: lb_client.LightbitsClient, project: str,
              cluster_rights: bool, deadline: Deadline, since: float
              ) -> None:
        """Do as `read`; where that fails, what is known still holds."""
        with contextlib.suppress(lb_errors.LightbitsError, DeadlineExceeded):
            self.read(client, project, cluster_rights, deadline, since)

    def problem(self, section: str, project: str
                ) -> errors.SettingProblem | None:
        """Tell why the cluster cannot be used with a project, if so.

        :param section: its section, for the message.
        """
        projects = self.known.projects if self.known else None
        if projects is None or project in projects:
            return None
        return errors.SettingProblem(
            section, 'project_map',
            f'the cluster has no project {project!r} (it has '
            f'{", ".join(sorted(projects)) or "none"}); map the name of '
            f'lightbits_project, or create the project')

    def _ask(self, client: lb_client.LightbitsClient, project: str,
             cluster_rights: bool, deadline: Deadline) -> None:
        self.read_at = time.monotonic()
        # First, so that a doubt that comes up meanwhile stays.
        self._doubtful = False
        done = False
        try:
            self.known = inventory.take_facts(client, project,
                                              cluster_rights, deadline)
            done = True
        except (lb_errors.LightbitsError, DeadlineExceeded) as exc:
            # Once: it is tried again with each look.
            LOG.log(logging.INFO if self._failing else logging.WARNING,
                    'Projects and policies of cluster %s cannot be read: %s',
                    self._name, exc)
            raise
        finally:
            self._failing = not done
            if not done:
                self._doubtful = True
