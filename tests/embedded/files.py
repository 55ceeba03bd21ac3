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

"""Where there is no NVMe: volumes are the sparse files of the simulator.

What a host has of volumes is replaced, and nothing else: the connector of the
driver's protocol, what is asked of the host's hardware, and becoming root.
Import this only after Cinder's monkey patching has been decided.
"""

from __future__ import annotations

import os
import pathlib
from typing import Any

from cinder import privsep
from cinder import utils
from os_brick import exception
from os_brick import initiator
from os_brick.initiator import connector
from os_brick.initiator.connectors import base
from os_brick.privileged import default as brick_privileged

HOST: dict[str, Any] = {
    'host': 'embedded', 'ip': '192.0.2.1', 'host_ips': ['192.0.2.1'],
    'nqn': 'nqn.2014-08.org.nvmexpress:uuid:'
           '7b1d2f64-0000-4000-8000-0000000000e1',
    'found_dsc': 'found', 'os_type': 'linux', 'platform': 'x86_64',
    'multipath': False}

# The folder of a simulator, with one of each cluster in it.
_folder: list[pathlib.Path] = []


def use(folder: pathlib.Path) -> None:
    """Attach volumes of this simulator to this process.

    :param folder: the simulator's own.
    """
    _folder[:] = [folder]
    connector.get_connector_mapping()[initiator.LIGHTOS] = (
        f'{FileConnector.__module__}.{FileConnector.__name__}')
    connector.get_connector_properties = lambda *_args, **_kwargs: dict(HOST)
    # The files are ours: nobody has to become root.
    utils.get_root_helper = lambda: 'env'
    for context in (privsep.sys_admin_pctxt, brick_privileged):
        context.set_client_mode(False)


class FileConnector(base.BaseLinuxConnector):  # type: ignore[misc]
    """Attaches the file of a volume."""

    @staticmethod
    def get_connector_properties(root_helper: str, *args: Any,
                                 **kwargs: Any) -> dict[str, Any]:
        """Return what the driver needs to know of this host."""
        return dict(HOST)

    def connect_volume(self, connection_properties: dict[str, Any]
                       ) -> dict[str, Any]:
        """Return the file, and how large it is: a device keeps its size."""
        path = self._path(connection_properties)
        return {'type': 'block', 'path': str(path),
                'size': path.stat().st_size}

    def disconnect_volume(self, connection_properties: dict[str, Any],
                          device_info: dict[str, Any] | None,
                          force: bool = False, ignore_errors: bool = False,
                          is_disconnect_call: bool = False) -> None:
        """Give the file the size back that a program took from it."""
        path = self._path(connection_properties)
        size = (device_info or {}).get('size', 0)
        if path.stat().st_size < size:
            os.truncate(path, size)

    def check_valid_device(self, path: str, run_as_root: bool = True
                           ) -> bool:
        """Whether the file is there."""
        return os.access(path, os.R_OK | os.W_OK)

    def get_volume_paths(self, connection_properties: dict[str, Any]
                         ) -> list[str]:
        """Return the file."""
        return [str(self._path(connection_properties))]

    def get_search_path(self) -> str:
        """Return the folder."""
        return str(_folder[0])

    def extend_volume(self, connection_properties: dict[str, Any]) -> int:
        """Return how large the file is now."""
        return self._path(connection_properties).stat().st_size

    def get_all_available_volumes(
            self, connection_properties: dict[str, Any] | None = None
            ) -> list[str]:
        """Return nothing: nobody asks."""
        return []

    @staticmethod
    def _path(connection_properties: dict[str, Any]) -> pathlib.Path:
        found = list(_folder[0].glob(f'*/{connection_properties["uuid"]}'))
        if len(found) != 1:
            raise exception.VolumeDeviceNotFound(
                device=connection_properties['uuid'])
        return found[0]
