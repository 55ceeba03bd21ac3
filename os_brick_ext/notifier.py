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

"""A way to register by configuration alone.

Nova, Cinder and Glance load the drivers for their notifications by name and
from any package, once they are set up and before they attach anything. This
one sends nothing: that it is loaded is what matters.
"""

from __future__ import annotations

from typing import Any

from oslo_log import log as logging
from oslo_messaging.notify import notifier

from os_brick_ext import register

LOG = logging.getLogger(__name__)


class RegisteringDriver(notifier.Driver):
    """Registers the connector in the process that loads it."""

    def __init__(self, conf: Any, topics: Any, transport: Any) -> None:
        super().__init__(conf, topics, transport)
        register.register()
        LOG.info('os-brick attaches Lightbits volumes with %s',
                 register.OURS)

    def notify(self, ctxt: Any, msg: Any, priority: Any, retry: Any) -> None:
        """Send nothing."""
