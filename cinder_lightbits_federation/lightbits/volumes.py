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

"""Volumes of one cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cinder_lightbits_federation.lightbits import calls
from cinder_lightbits_federation.lightbits import edits
from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import exchange
from cinder_lightbits_federation.lightbits import fields
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.lightbits import transport
from cinder_lightbits_federation import timing

Hook = Callable[[model.Volume], model.VolumeChange | None]


def creation_body(new: model.NewVolume) -> dict[str, Any]:
    """Write a create request.

    The size is sent as ``<bytes>b``: the form that the vendor's CSI plug-in
    chose for creating because some releases misread bare digits there.
    """
    body: dict[str, Any] = {
        'name': new.name, 'size': f'{new.size}b',
        'replicaCount': new.replicas,
        'compression': _flag(new.compression),
        'acl': fields.acl_body(new.acl),
        'IPAcl': fields.acl_body(new.ip_acl)}
    if new.sector_size is not None:
        body['sectorSize'] = new.sector_size.value
    if new.source_snapshot_uuid is not None:
        body['sourceSnapshotUUID'] = new.source_snapshot_uuid
    body |= _policy(new.qos_policy_uuid, new.qos_policy_name)
    if new.labels:
        body['labels'] = fields.labels_body(new.labels)
    if new.restrictions:
        body['placementRestrictions'] = [
            {'operator': 'In', 'labelValueKeyPairs': [
                {'key': one.key, 'value': one.value}]}
            for one in new.restrictions]
    return body


def change_body(change: model.VolumeChange) -> dict[str, Any]:
    """Write an update request; what is None stays out of it.

    The size is sent as bare digits, bytes: both of the vendor's clients
    that resize volumes send it so.
    """
    body: dict[str, Any] = {}
    if change.acl is not None:
        body['acl'] = fields.acl_body(change.acl)
    if change.ip_acl is not None:
        body['IPAcl'] = fields.acl_body(change.ip_acl)
    if change.size is not None:
        body['size'] = str(change.size)
        if change.shrink:
            body['Force'] = True
    if change.compression is not None:
        body['compression'] = _flag(change.compression)
    if change.labels is not None:
        body['labels'] = fields.labels_body(change.labels)
    if change.new_name is not None:
        body['newName'] = change.new_name
    return body | _policy(change.qos_policy_uuid, change.qos_policy_name)


def _flag(value: bool) -> str:
    return 'true' if value else 'false'


def _policy(uuid: str | None, name: str | None) -> dict[str, str]:
    """A policy by UUID or by name; the API takes one of them."""
    if uuid is not None:
        return {'qosPolicyUUID': uuid}
    return {} if name is None else {'qosPolicyName': name}


def _path(project: str, *rest: str) -> str:
    return exchange.path_of('projects', project, 'volumes', *rest)


class VolumeCalls(calls.Calls):
    """Calls about volumes. Creating and changing go on after the answer."""

    def __init__(self, channel: transport.Transport, name: str) -> None:
        super().__init__(channel, name)
        self._change_pace = timing.Pace()

    def create_volume(self, project: str, new: model.NewVolume, *,
                      deadline: timing.Deadline | None = None,
                      ) -> model.Volume:
        """Create a volume; not idempotent.

        :returns: the volume as answered, usually still Creating.
        :raises Ambiguous: it may exist; look it up by its name.
        :raises Conflict: the name is taken.
        """
        operation = 'volumes.create'
        data = self._call(operation, project, 'POST', _path(project),
                          deadline, body=creation_body(new))
        return self._read(operation, model.Volume.from_json, data,
                          write=True)

    def get_volume(self, project: str, uuid: str, *,
                   deadline: timing.Deadline | None = None) -> model.Volume:
        """Read one volume.

        :raises NotFound: the cluster says that there is none.
        """
        operation = 'volumes.get'
        data = self._call(operation, project, 'GET', _path(project, uuid),
                          deadline)
        volume = self._read(operation, model.Volume.from_json, data)
        self._same(operation, uuid.lower(), volume.uuid)
        return volume

    def find_volume(self, project: str, name: str, *,
                    deadline: timing.Deadline | None = None,
                    ) -> model.Volume | None:
        """Look a volume up by its name.

        :returns: the volume, whatever its state; None only if the cluster
            itself says that there is none.
        """
        operation = 'volumes.find'
        if not name:
            raise ValueError('a volume is looked up by an empty name')
        try:
            data = self._call(operation, project, 'GET',
                              f'{_path(project)}/', deadline,
                              query={'name': name})
        except errors.NotFound:
            return None
        volume = self._read(operation, model.Volume.from_json, data)
        self._same(operation, name, volume.name)
        return volume

    def volume_page(self, project: str, *, limit: int = calls.PAGE,
                    after: str | None = None, show_all: bool = False,
                    name: str | None = None,
                    snapshot_uuid: str | None = None,
                    failure_domain: str | None = None,
                    deadline: timing.Deadline | None = None,
                    ) -> tuple[model.Volume, ...]:
        """Read a part of the list of volumes.

        :param limit: how many, at most 1000.
        :param after: UUID of the last volume of the page before.
        :param show_all: include those that are being deleted.
        :param name: only the one of this name.
        :param snapshot_uuid: only clones of this snapshot.
        :param failure_domain: only those with a replica there.
        """
        operation = 'volumes.list'
        data = self._call(
            operation, project, 'GET', _path(project), deadline,
            query={'limit': limit, 'offsetUUID': after,
                   'showAll': show_all or None, 'name': name,
                   'snapshotUUID': snapshot_uuid,
                   'failureDomain': failure_domain})
        return self._list(operation, model.Volume.from_json, data,
                          'volumes')

    def list_volumes(self, project: str, *, limit: int = calls.PAGE,
                     show_all: bool = False,
                     snapshot_uuid: str | None = None,
                     deadline: timing.Deadline | None = None,
                     ) -> Iterator[model.Volume]:
        """Go through all volumes of a project, page by page.

        :param limit: size of a page, at most 1000.
        :param deadline: for all pages; None gives each its own.
        """
        return self._pages(
            'volumes.list',
            lambda after: self.volume_page(
                project, limit=limit, after=after, show_all=show_all,
                snapshot_uuid=snapshot_uuid, deadline=deadline), limit)

    def change_volume(self, project: str, uuid: str,
                      change: model.VolumeChange, *, etag: str | None,
                      deadline: timing.Deadline | None = None) -> None:
        """Ask for a change; it becomes visible some time later.

        Prefer `update_volume`, which also waits and copes with others.

        :param etag: change only the version that was read; None changes
            whatever is there.
        :raises PreconditionFailed: it changed meanwhile (also seen as
            BadRequest), or its state forbids it.
        """
        self._call('volumes.update', project, 'PUT', _path(project, uuid),
                   deadline, body=change_body(change), etag=etag)

    def delete_volume(self, project: str, uuid: str, *,
                      etag: str | None = None,
                      deadline: timing.Deadline | None = None) -> None:
        """Ask for deletion; the volume is Deleting, later not found.

        :param etag: delete only the version that was read.
        :raises NotFound: there is none.
        """
        self._call('volumes.delete', project, 'DELETE',
                   _path(project, uuid), deadline, etag=etag)

    def rollback(self, project: str, uuid: str, snapshot_uuid: str, *,
                 etag: str | None = None,
                 deadline: timing.Deadline | None = None) -> None:
        """Ask to re-point a volume to one of its snapshots.

        The volume takes the snapshot's size as well. It is in the state
        Rollback until it is done.
        """
        self._call('volumes.rollback', project, 'PUT',
                   _path(project, uuid, 'rollback'), deadline,
                   body={'srcSnapshotUUID': snapshot_uuid}, etag=etag)

    def update_volume(self, project: str, uuid: str, hook: Hook, *,
                      deadline: timing.Deadline) -> model.Volume:
        """Bring a volume to what `hook` wants, and wait until it is there.

        See `edits.Edit` for the way. In the quiet case it costs two reads
        and a write; one read if nothing has to change.

        :param hook: gets the volume as just read and returns the change
            that is missing, or None if it already is as wanted. It is
            called again after every conflict and must not depend on
            having been called before. What it raises goes up.
        :returns: the settled volume for which `hook` returned None.
        :raises NotFound: the volume is not there.
        :raises BadRequest: the cluster refuses the change for good, or
            the volume is being deleted or failed to be created.
        :raises DeadlineExceeded: with the last state.
        """
        return edits.Edit(self, project, uuid, hook, deadline,
                          self._change_pace).run()
