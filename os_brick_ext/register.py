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

"""Putting the connector in the place of os-brick's own, and back.

os-brick has no entry points for connectors. It keeps two tables: one says
which class serves a protocol, the other who is asked to describe the host.
"""

from __future__ import annotations

import threading

from os_brick import initiator
from os_brick.initiator import connector

OURS = 'os_brick_ext.connector.LightbitsConnector'
STOCK = 'os_brick.initiator.connectors.lightos.LightOSConnector'

_LOCK = threading.Lock()


def register() -> None:
    """Have os-brick use this package for protocol LIGHTOS. Idempotent.

    It holds for this process and for those it forks.
    """
    _exchange(STOCK, OURS)


def unregister() -> None:
    """Have os-brick use its own connector again. Idempotent."""
    _exchange(OURS, STOCK)


def registered() -> bool:
    """:returns: whether os-brick uses this package."""
    return bool(
        connector._connector_mapping_linux[initiator.LIGHTOS] == OURS)


def _exchange(before: str, after: str) -> None:
    with _LOCK:
        connector._connector_mapping_linux[initiator.LIGHTOS] = after
        # In place: os-brick and others hold this very list.
        listed = connector.unix_connector_list
        listed[:] = [after if name == before else name for name in listed]
