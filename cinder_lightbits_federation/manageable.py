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

"""The part of the driver that manages what Cinder has not made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from cinder import exception
from cinder.volume import volume_utils

from cinder_lightbits_federation import conformance
from cinder_lightbits_federation.exception import translated
from cinder_lightbits_federation.federation import Federation
from cinder_lightbits_federation.finder import Found
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import recorded_for
from cinder_lightbits_federation.manage import Existing
from cinder_lightbits_federation.manage import InvalidReference
from cinder_lightbits_federation.manage import NotManageable
from cinder_lightbits_federation import records
from cinder_lightbits_federation.sizes import bytes_to_gib_ceil
from cinder_lightbits_federation.sizes import gib_to_bytes
from cinder_lightbits_federation.upgrading import UpgradingMixin

T = TypeVar('T', model.Volume, model.Snapshot)

Entry = dict[str, Any]


class ManageableMixin(UpgradingMixin):
    """Manage, unmanage and list volumes and snapshots."""

    @property
    def federation(self) -> Federation:
        """The use cases; the driver has them."""
        raise NotImplementedError

    def manage_existing(self, volume: Any, existing_ref: Mapping[str, Any]
                        ) -> dict[str, str]:
        """Take over a volume: it is renamed, labelled and closed.

        :param existing_ref: ``source-name`` or ``source-id``, and
            optionally ``cluster`` and ``project``.
        """
        deadline = self.federation.deadline()
        found = self._find(self.federation.manage.find_volume, existing_ref)
        self._check_type(volume, found)
        with translated(volume.id):
            location = _managed(existing_ref, lambda: (
                self.federation.manage.adopt_volume(
                    found, self.marked(records.volume_ref(
                        volume, found.project), volume),
                    gib_to_bytes(bytes_to_gib_ceil(found.thing.size)),
                    records.LocationRecord(volume), deadline)))
        return records.model_update(location)

    def manage_existing_get_size(self, volume: Any,
                                 existing_ref: Mapping[str, Any]) -> int:
        """:returns: GiB, rounded up; managing grows the volume to that."""
        found = self._find(self.federation.manage.find_volume, existing_ref)
        return bytes_to_gib_ceil(found.thing.size)

    def unmanage(self, volume: Any) -> None:
        """Let go of a volume: it stays where it is, owned by nobody."""
        with translated(volume.id):
            self.federation.manage.release_volume(
                records.volume_ref(volume, self.federation.settings.project),
                self.federation.deadline())

    def manage_existing_snapshot(self, snapshot: Any,
                                 existing_ref: Mapping[str, Any]
                                 ) -> dict[str, str]:
        """Take over a snapshot of a managed volume; it keeps its name."""
        found = self._find(self.federation.manage.find_snapshot,
                           existing_ref)
        with translated(snapshot.volume_id, snapshot.id):
            location = _managed(existing_ref, lambda: (
                self.federation.manage.adopt_snapshot(
                    found, records.snapshot_ref(
                        snapshot, self.federation.settings.project),
                    records.LocationRecord(snapshot))))
        return records.model_update(location)

    def manage_existing_snapshot_get_size(
            self, snapshot: Any, existing_ref: Mapping[str, Any]) -> int:
        """:returns: GiB, rounded up."""
        found = self._find(self.federation.manage.find_snapshot,
                           existing_ref)
        return bytes_to_gib_ceil(found.thing.size)

    def unmanage_snapshot(self, snapshot: Any) -> None:
        """Nothing to do: a snapshot cannot be changed on the array."""

    def get_manageable_volumes(self, cinder_volumes: Iterable[Any],
                               marker: Any, limit: int, offset: int,
                               sort_keys: list[str], sort_dirs: list[str]
                               ) -> list[Entry]:
        """List the volumes of all clusters that answer."""
        known = _by_object(cinder_volumes, 'name_id')
        with translated():
            found = self.federation.manage.volumes(
                self.federation.settings.project,
                self.federation.deadline())
        entries = [_entry(item, known,
                          self.federation.manage.why_not_volume)
                   for item in found]
        return _page(entries, marker, limit, offset, sort_keys, sort_dirs)

    def get_manageable_snapshots(self, cinder_snapshots: Iterable[Any],
                                 marker: Any, limit: int, offset: int,
                                 sort_keys: list[str], sort_dirs: list[str]
                                 ) -> list[Entry]:
        """List the snapshots of all clusters that answer."""
        known = _by_object(cinder_snapshots, 'id')
        with translated():
            found = self.federation.manage.snapshots(
                self.federation.settings.project,
                self.federation.deadline())
        entries = []
        for item in found:
            entry = _entry(item, known,
                           self.federation.manage.why_not_snapshot)
            entry['source_reference'] = {
                'source-name': item.thing.source_volume_name,
                'source-id': item.thing.source_volume_uuid}
            entries.append(entry)
        return _page(entries, marker, limit, offset, sort_keys, sort_dirs)

    def _find(self, find: Callable[..., Found[T]],
              reference: Mapping[str, Any]) -> Found[T]:
        with translated():
            return _managed(reference, lambda: find(
                Existing.parse(reference, self.federation.settings.project),
                self.federation.deadline()))

    def _check_type(self, volume: Any, found: Found[model.Volume]) -> None:
        with translated(volume.id):
            spec = records.spec_of(volume)
            settings = self.federation.settings
            wanted = found.cluster.settings.project(
                spec.project or settings.project)
            # Without a type there is nothing to disagree with.
            reason = None if not volume.volume_type_id else (
                conformance.misfit(
                    found.thing, found.cluster.uuid or '',
                    found.cluster.name, found.project == wanted, spec,
                    found.thing.replicas))
        if reason is not None:
            raise exception.ManageExistingVolumeTypeMismatch(reason=reason)


R = TypeVar('R')


def _managed(reference: Mapping[str, Any], call: Callable[[], R]) -> R:
    """Tell a bad reference in the words Cinder has for it."""
    try:
        return call()
    except (InvalidReference, NotManageable) as exc:
        raise exception.ManageExistingInvalidReference(
            existing_ref=dict(reference), reason=str(exc)) from exc


def _by_object(known: Iterable[Any], key: str) -> dict[str, str]:
    """Cinder's ids by the UUID of the object on the array."""
    found = {}
    for record in known:
        location = recorded_for(record.provider_location,
                                        record[key])
        if location is not None and location.object_uuid is not None:
            found[location.object_uuid] = record.id
    return found


def _entry(item: Found[T], known: Mapping[str, str],
           why_not: Callable[[Found[T]], str | None]) -> Entry:
    cinder_id = known.get(item.thing.uuid)
    reason = 'already managed' if cinder_id else why_not(item)
    return {
        'reference': {'source-name': item.thing.name,
                      'source-id': item.thing.uuid},
        'size': bytes_to_gib_ceil(item.thing.size),
        'safe_to_manage': reason is None,
        'reason_not_safe': reason,
        'cinder_id': cinder_id,
        'extra_info': {'cluster': item.cluster.name,
                       'project': item.project}}


def _page(entries: Sequence[Entry], marker: Any, limit: int, offset: int,
          sort_keys: list[str], sort_dirs: list[str]) -> list[Entry]:
    page: list[Entry] = volume_utils.paginate_entries_list(
        list(entries), marker, limit, offset, sort_keys, sort_dirs)
    return page
