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

"""What the driver does for upgrades: formats, and the freeze."""

from __future__ import annotations

from typing import Any

from oslo_log import log as logging

from cinder_lightbits_federation.exception import translated
from cinder_lightbits_federation import records
from cinder_lightbits_federation.service import Service

LOG = logging.getLogger(__name__)


class UpgradingMixin:
    """Part of the driver; its service exists from `do_setup` on."""

    _service: Service | None

    def marked(self, ref: records.T, record: Any) -> records.T:
        """:returns: the reference, with whose it is in newer formats."""
        if self._service is None:
            return ref
        return records.marked(ref, record,
                              self._service.shared.formats.level)

    def freeze_backend(self, context: Any) -> bool:
        """Pause jobs and drains, on all services of the backend.

        What is under way stops at its next checkpoint. Requests of users go
        on: Cinder itself refuses those that it is to.
        """
        with translated():
            if self._service is not None:
                self._service.shared.freezing.freeze('asked for by Cinder')
        LOG.warning('The backend is frozen: jobs are paused.')
        return True

    def thaw_backend(self, context: Any) -> bool:
        """Let jobs and drains go on."""
        with translated():
            if self._service is not None:
                self._service.shared.freezing.thaw('asked for by Cinder')
        LOG.warning('The backend is thawed: jobs go on.')
        return True
