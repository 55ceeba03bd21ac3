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

"""Snapshots of one cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cinder_lightbits_federation.lightbits import calls
from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import exchange
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import timing


def creation_body(new: model.NewSnapshot) -> dict[str, Any]:
    """Write a create request."""
    body: dict[str, Any] = {'name': new.name,
                            'sourceVolumeUUID': new.source_volume_uuid}
    if new.description:
        body['description'] = new.description
    if new.retention is not None:
        body['retentionTime'] = f'{new.retention}s'
    return body


def _path(project: str, *rest: str) -> str:
    return exchange.path_of('projects', project, 'snapshots', *rest)


class SnapshotCalls(calls.Calls):
    """Calls about snapshots, which cannot be changed once they are made."""

    def create_snapshot(self, project: str, new: model.NewSnapshot, *,
                        deadline: timing.Deadline | None = None,
                        ) -> model.Snapshot:
        """Create a snapshot; not idempotent.

        :returns: the snapshot as answered, often still Creating.
        :raises Ambiguous: it may exist; look it up by its name.
        :raises Conflict: the name is taken.
        :raises NotFound: the source volume is not there.
        """
        operation = 'snapshots.create'
        data = self._call(operation, project, 'POST', _path(project),
                          deadline, body=creation_body(new))
        return self._read(operation, model.Snapshot.from_json, data,
                          write=True)

    def get_snapshot(self, project: str, uuid: str, *,
                     deadline: timing.Deadline | None = None,
                     ) -> model.Snapshot:
        """Read one snapshot.

        :raises NotFound: the cluster says that there is none.
        """
        operation = 'snapshots.get'
        data = self._call(operation, project, 'GET', _path(project, uuid),
                          deadline)
        snapshot = self._read(operation, model.Snapshot.from_json, data)
        self._same(operation, uuid.lower(), snapshot.uuid)
        return snapshot

    def find_snapshot(self, project: str, name: str, *,
                      deadline: timing.Deadline | None = None,
                      ) -> model.Snapshot | None:
        """Look a snapshot up by its name.

        :returns: the snapshot, whatever its state; None only if the
            cluster itself says that there is none.
        """
        operation = 'snapshots.find'
        if not name:
            raise ValueError('a snapshot is looked up by an empty name')
        try:
            # Snapshots spell the parameter with a capital, volumes do not.
            data = self._call(operation, project, 'GET',
                              f'{_path(project)}/', deadline,
                              query={'Name': name})
        except errors.NotFound:
            return None
        snapshot = self._read(operation, model.Snapshot.from_json, data)
        self._same(operation, name, snapshot.name)
        return snapshot

    def snapshot_page(self, project: str, *, limit: int = calls.PAGE,
                      after: str | None = None, show_all: bool = False,
                      name: str | None = None,
                      deadline: timing.Deadline | None = None,
                      ) -> tuple[model.Snapshot, ...]:
        """Read a part of the list of snapshots.

        :param limit: how many, at most 1000.
        :param after: UUID of the last snapshot of the page before.
        :param show_all: include those that are being deleted.
        :param name: only the one of this name.
        """
        operation = 'snapshots.list'
        data = self._call(
            operation, project, 'GET', _path(project), deadline,
            query={'limit': limit, 'offsetUUID': after,
                   'showAll': show_all or None, 'Name': name})
        return self._list(operation, model.Snapshot.from_json, data,
                          'snapshots')

    def list_snapshots(self, project: str, *, limit: int = calls.PAGE,
                       show_all: bool = False,
                       deadline: timing.Deadline | None = None,
                       ) -> Iterator[model.Snapshot]:
        """Go through all snapshots of a project, page by page.

        :param limit: size of a page, at most 1000.
        :param deadline: for all pages; None gives each its own.
        """
        return self._pages(
            'snapshots.list',
            lambda after: self.snapshot_page(
                project, limit=limit, after=after, show_all=show_all,
                deadline=deadline), limit)

    def delete_snapshot(self, project: str, uuid: str, *,
                        deadline: timing.Deadline | None = None) -> None:
        """Ask for deletion; clones of the snapshot are not affected.

        :raises NotFound: there is none.
        """
        self._call('snapshots.delete', project, 'DELETE',
                   _path(project, uuid), deadline)

    def changed_blocks(self, project: str, uuid: str, *,
                       base_uuid: str | None = None, offset_lba: int = 0,
                       deadline: timing.Deadline | None = None,
                       ) -> model.ChangedBlocks:
        """Read one page of the blocks in which two snapshots differ.

        :param base_uuid: the earlier snapshot of the same chain; None for
            all blocks that were ever written.
        :param offset_lba: where to go on; the cluster rounds it down to a
            multiple of 64.
        :raises BadRequest: the two are not on one chain.
        """
        operation = 'snapshots.diff'
        data = self._call(
            operation, project, 'GET', _path(project, 'diff', uuid),
            deadline, query={'baseSnapshotUUID': base_uuid,
                             'offsetLBA': offset_lba or None})
        return self._read(operation, model.ChangedBlocks.from_json, data)
