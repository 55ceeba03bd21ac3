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

"""Cinder's API by openstacksdk, for volumes that it is to take over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import contextlib
from typing import Any

from openstack import exceptions

from cinder_lightbits_federation.copy.delivery import Entry
from cinder_lightbits_federation.copy.delivery import NotRegistered
from cinder_lightbits_federation.copy.wanted import Wanted
from cinder_lightbits_federation.drain.cloud import told

# Metadata of the volume until it is taken over: the job that it is for.
MARK = 'lightbits_thick_clone'


class CinderRegistrar:
    """See `delivery.Registrar`.

    :param proxy: openstacksdk's, of the Block Storage service.
    :param host: ``host@backend`` of this service.
    :param pool_of: gives the pool of a cluster, by its name.
    """

    def __init__(self, proxy: Any, host: str,
                 pool_of: Callable[[str], str]) -> None:
        self._proxy = proxy
        self._host = host
        self._pool_of = pool_of

    def find(self, mark: str) -> Sequence[Entry]:
        """See `Registrar`."""
        with told(_refusal):
            # A dictionary, as Python writes it (cinder/api/v3/volumes.py).
            found = list(self._proxy.volumes(
                all_projects=True, properties=str({MARK: mark})))
        # openstacksdk before 4.6 or so leaves the filter out, and what is
        # found may be deleted.
        return [Entry(item.id, item.status) for item in found
                if (item.metadata or {}).get(MARK) == mark]

    def manage(self, mark: str, reference: Mapping[str, str], pool: str,
               wanted: Wanted) -> None:
        """See `Registrar`."""
        with told(_refusal):
            self._proxy.manage_volume(
                host=f'{self._host}#{self._pool_of(pool)}',
                ref=dict(reference), name=wanted.name,
                volume_type=wanted.volume_type, metadata={MARK: mark})

    def unmark(self, volume_id: str) -> None:
        """See `Registrar`."""
        with told(_refusal), contextlib.suppress(exceptions.NotFoundException):
            self._proxy.delete_volume_metadata(volume_id, [MARK])

    def forget(self, entry: Entry) -> None:
        """See `Registrar`.

        In that status the driver lets go of what it may have taken over.
        """
        with told(_refusal), contextlib.suppress(exceptions.NotFoundException):
            self._proxy.reset_volume_status(
                entry.id, status='error_managing', attach_status=None,
                migration_status=None)
            self._proxy.delete_volume(entry.id)


def _refusal(text: str) -> NotRegistered:
    return NotRegistered(f'Cinder does not take the clone over: {text}')
