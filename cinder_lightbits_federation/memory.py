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

"""The API endpoints of clusters, kept on this host over restarts.

So a cluster is found again although every address that was once configured
is gone. They are addresses to try, no more: whoever answers there has to
prove to be the cluster before anything is sent, and only clusters whose UUID
is configured are looked for there.
"""

from __future__ import annotations

from collections.abc import Sequence
import json
import logging
import os

from cinder_lightbits_federation import files

LOG = logging.getLogger(__name__)

FOLDER_MODE = 0o750


class EndpointMemory:
    """A file for each cluster, named by its UUID. Thread-safe by cluster.

    What cannot be read or written is logged and does no harm.

    :param folder: made when first needed.
    :param writable: off for whoever is not the service.
    """

    def __init__(self, folder: str, writable: bool = True) -> None:
        self._folder = folder
        self._writable = writable

    def recall(self, uuid: str) -> tuple[str, ...]:
        """:returns: the endpoints a cluster had, empty if not known."""
        try:
            with open(self._path(uuid), encoding='utf-8') as file:
                found = json.load(file)
            if found['uuid'] != uuid:
                raise ValueError('it is of another cluster')
            return tuple(str(item) for item in found['api_endpoints'])
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError) as exc:
            LOG.warning('%s is not used: %s', self._path(uuid), exc)
            return ()

    def keep(self, uuid: str, endpoints: Sequence[str]) -> None:
        """Note the endpoints a cluster has. Idempotent."""
        if not self._writable:
            return
        data = {'uuid': uuid, 'api_endpoints': list(endpoints)}
        try:
            os.makedirs(self._folder, FOLDER_MODE, exist_ok=True)
            files.write_atomically(self._path(uuid),
                                   json.dumps(data).encode() + b'\n')
        except OSError as exc:
            LOG.warning('The endpoints of cluster %s are not kept: %s', uuid,
                        exc)

    def _path(self, uuid: str) -> str:
        return os.path.join(self._folder, f'{uuid}.json')
