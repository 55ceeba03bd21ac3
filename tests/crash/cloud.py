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

"""A small cloud: API, scheduler and one volume service after another.

Real: Cinder's API layer, its volume manager with all its flows, locks and
worker records, the database, the driver, and HTTPS to the clusters. Only the
message bus and the scheduler's choice (of one backend) are stand-ins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
import uuid

from cinder import context as cinder_context
from cinder.db import api as db_api
from cinder import exception
from cinder import objects
from cinder import service as cinder_service
from cinder.volume import api as volume_api
from cinder.volume import manager
from cinder.volume import rpcapi
import fixtures

from cinder_lightbits_federation import timing
from tests.crash import audit
from tests.crash import bus
from tests.crash import life
from tests.embedded import federation
from tests.embedded import invariants
from tests import releases
from tests.unit.driver import base

DRIVER = 'cinder_lightbits_federation.driver.LightbitsFederationDriver'
POLICY = 'gold'
PLACE = f'{base.HOST}#federation'
PROJECT = 'a0c7ed1b6b0d4a6a8a6a1d7f0f5b2c11'
USER = 'b0c7ed1b6b0d4a6a8a6a1d7f0f5b2c12'

# Until the harness lets a cluster settle, what takes time is under way.
FOREVER = 600
SLOW = ('create', 'update', 'delete', 'rollback', 'snapshot_create',
        'snapshot_delete')

# What a user may delete; everything else an operator resets first, to
# "error" in general.
DELETABLE = ('available', 'error', 'error_managing')
RESET = {'managing': 'error_managing'}


def request_spec(volume: Any, **spec: Any) -> Any:
    """:returns: what a create request says of a volume."""
    return objects.RequestSpec(
        volume_id=volume.id, snapshot_id=volume.snapshot_id,
        source_volid=volume.source_volid, **spec)


class Service:
    """One process of cinder-volume.

    :param cloud: what it is part of.
    :param service_id: of its row; it clears up what that row's last process
        has left.
    """

    def __init__(self, cloud: CloudTestCase, service_id: int) -> None:
        self.life = life.Life(cloud.clusters)
        self.latest: Mapping[str, Any] = {}
        self._database = cloud.database
        cinder_service.Service.service_id = service_id
        with life.wired(self.life), self._database.used_by(self.life):
            self.manager = manager.VolumeManager(
                volume_driver=DRIVER, service_name=base.BACKEND,
                host=base.HOST)
            self.manager.init_host(service_id=service_id)

    def receive(self, ctxt: Any, method: str, args: Mapping[str, Any]
                ) -> Any:
        """See `bus.Receiver.receive`."""
        self.latest = args
        with self.active():
            return getattr(self.manager, method)(ctxt, **args)

    def active(self) -> Any:
        """What this thread does meanwhile is done by this process."""
        return self._database.used_by(self.life)

    def kill(self) -> None:
        """End it; nothing is finished or cleaned up."""
        self.life.die()
        self.manager.driver.tear_down()


class CloudTestCase(base.FederationTestCase):
    """Tests on a cloud with a volume service that can be replaced."""

    MOCK_WORKER = False
    CLUSTERS = ('east', 'west')
    NODES = 1
    # Options of the backend's section.
    BACKEND: ClassVar[Mapping[str, Any]] = {}

    def setUp(self) -> None:
        super().setUp()
        for name, array in self.arrays.items():
            federation.seed_foreign(array)
            self.make_policy(name)
            array.set_delays(**dict.fromkeys(SLOW, FOREVER))
        self.write_config(self.sections(), lightbits_poll_interval=600,
                          **self.BACKEND)
        self.flags(service_down_time=FOREVER * 100)
        self.context = cinder_context.RequestContext(USER, PROJECT,
                                                     is_admin=True)
        for resource in ('volumes', 'snapshots', 'gigabytes'):
            db_api.quota_create(self.context, PROJECT, resource, -1)
        self.useFixture(fixtures.MockPatchObject(
            cinder_service.Service, 'service_id', None))
        self._shorten_pauses()
        self.clusters = life.Clusters(self.arrays)
        self._start_bus()
        self.rows = [self._service_row(name) for name in (base.HOST,
                                                          'stor2@other')]
        self.audit = audit.Audit(self.arrays, base.FEDERATION_ID)
        self.api = volume_api.API()
        self.service = self.boot()

    def _shorten_pauses(self) -> None:
        """Nothing needs time: clusters settle when they are looked at."""
        pause = timing.pause
        self.useFixture(fixtures.MockPatchObject(
            timing, 'pause',
            lambda seconds, stop=None: pause(min(seconds, 0.001), stop)))

    def _start_bus(self) -> None:
        self.database = life.Database(releases.engine())
        self.database.start()
        self.addCleanup(self.database.stop)
        self.bus = bus.Bus()
        self.useFixture(self.bus.connection())
        self.bus.receivers[bus.SCHEDULER] = bus.Scheduler(PLACE)

    def _service_row(self, host: str) -> Any:
        row = objects.Service(
            self.context, host=host, binary='cinder-volume',
            topic='cinder-volume', availability_zone='nova',
            rpc_current_version=rpcapi.VolumeAPI.RPC_API_VERSION,
            object_current_version=self.latest_ovo_version)
        row.create()
        return row

    # The service

    def boot(self, clean: bool = True) -> Service:
        """Start the service anew.

        :param clean: let it do what Cinder does about its predecessor's
            unfinished work.
        """
        made = Service(self, self.rows[0 if clean else 1].id)
        self.addCleanup(made.kill)
        self.bus.receivers[bus.VOLUME] = made
        self.service = made
        return made

    def look_again(self) -> None:
        """Have the service look at clusters that were silent."""
        federation = self.service.manager.driver.federation
        for cluster in federation.registry.clusters:
            cluster.refresh(federation.deadline())

    def workers(self) -> list[Any]:
        """:returns: records of unfinished work of the service's own row."""
        return list(db_api.worker_get_all(self.context,
                                          service_id=self.rows[0].id))

    # Users and operators

    def find(self, kind: Any, record_id: str) -> Any:
        """:returns: a record as the database has it; None if it is gone."""
        try:
            return kind.get_by_id(self.context, record_id)
        except exception.NotFound:
            return None

    def volume_record(self, **fields: Any) -> Any:
        """A record as the API makes it for a create request."""
        return self.volume(host=PLACE, project_id=PROJECT, **fields)

    def ask_to_create(self, volume: Any, **spec: Any) -> None:
        """Send a create request to the service, as the scheduler does.

        :param spec: what else the request says.
        """
        rpcapi.VolumeAPI().create_volume(
            self.context, volume, request_spec(volume, **spec), {},
            allow_reschedule=False)

    def make(self, **fields: Any) -> Any:
        """A volume that exists."""
        volume = self.volume_record(**fields)
        self.ask_to_create(volume)
        volume.refresh()
        self.assertEqual('available', volume.status)
        return volume

    def make_snapshot(self, volume: Any) -> Any:
        """A snapshot that exists."""
        made = self.api.create_snapshot(self.context, volume, 'name', 'text')
        made.refresh()
        self.assertEqual('available', made.status)
        return made

    def attachments(self, volume: Any) -> list[Any]:
        """:returns: the attachments of a volume."""
        return list(objects.VolumeAttachmentList.get_all_by_volume_id(
            self.context, volume.id))

    def attach_host(self, volume: Any, connector: Mapping[str, Any]) -> None:
        """A host attaches a volume and says that it has it."""
        volume.refresh()
        made = self.api.attachment_create(self.context, volume, None,
                                          dict(connector))
        made.refresh()
        made.attach_status = 'attached'
        made.save()
        volume.refresh()
        volume.attach_status = 'attached'
        volume.status = 'in-use'
        volume.save()

    @staticmethod
    def reset(record: Any, status: str) -> None:
        """An operator sets a status."""
        record.refresh()
        record.status = status
        record.save()

    def delete_attachments(self, volume: Any) -> None:
        """A user detaches a volume everywhere."""
        for item in self.attachments(volume):
            self.api.attachment_delete(self.context, item)

    def delete(self, volume_id: str) -> None:
        """A user deletes a volume, with an operator's help if needed."""
        volume = self.find(objects.Volume, volume_id)
        if volume is None:
            return
        self.delete_attachments(volume)
        volume.refresh()
        if volume.status not in DELETABLE:
            self.reset(volume, RESET.get(volume.status, 'error'))
        self.api.delete(self.context, volume)
        self.assert_gone(objects.Volume, volume_id)

    def delete_snapshot(self, snapshot_id: str) -> None:
        """A user deletes a snapshot, with an operator's help if needed."""
        snapshot = self.find(objects.Snapshot, snapshot_id)
        if snapshot is None:
            return
        if snapshot.status not in DELETABLE:
            self.reset(snapshot, 'error')
        self.api.delete_snapshot(self.context, snapshot)
        self.assert_gone(objects.Snapshot, snapshot_id)

    def assert_gone(self, kind: Any, record_id: str) -> None:
        left = self.find(kind, record_id)
        self.assertIsNone(left and left.status,
                          f'{kind.__name__} {record_id} cannot be deleted')

    def delete_all(self) -> None:
        """Users delete all they have."""
        for snapshot in objects.SnapshotList.get_all(self.context, {}):
            self.delete_snapshot(snapshot.id)
        for volume in objects.VolumeList.get_all(self.context):
            self.delete(volume.id)

    # The clusters

    def ask(self, cluster: str, method: str, path: str, body: object = None
            ) -> dict[str, Any]:
        """Do a call of the API as somebody else."""
        reply = self.arrays[cluster].request(method, f'/api/v2/{path}', body)
        self.assertEqual(200, reply.status, reply.body)
        self.arrays[cluster].settle()
        answer: dict[str, Any] = reply.json()
        return answer

    def foreign_volume(self, cluster: str) -> dict[str, Any]:
        """Make a volume as somebody else."""
        return self.ask(cluster, 'POST', 'projects/default/volumes', {
            'name': f'pvc-{uuid.uuid4()}', 'size': str(base.GIB),
            'replicaCount': 1, 'acl': {'values': ['ALLOW_NONE']}})

    def foreign_snapshot(self, volume: Any) -> dict[str, Any]:
        """Take a snapshot of one of our volumes as somebody else."""
        cluster, item = self.on(volume)
        return self.ask(cluster, 'POST', 'projects/default/snapshots', {
            'name': f'by-hand-{uuid.uuid4()}',
            'sourceVolumeUUID': item['UUID']})

    def make_policy(self, cluster: str) -> None:
        """Make a QoS policy."""
        self.ask(cluster, 'POST', 'policies', {
            'name': POLICY, 'qoSRateLimitPolicy': {
                'policyVisibility': 'Global', 'limitIOPS': {
                    'readIOPSLimit': 512, 'writeIOPSLimit': 512}}})

    def objects_by_uuid(self, cluster: str) -> dict[str, dict[str, Any]]:
        """:returns: volumes and snapshots that are not on their way out."""
        state = self.arrays[cluster].state()
        return {item['UUID']: item
                for item in (*state['volumes'], *state['snapshots'])
                if item['state'] != 'Deleting'}

    # What is there

    def findings(self) -> list[invariants.Finding]:
        """Compare database and clusters; see `audit.Audit`."""
        return self.audit.findings(self.context)

    def assert_sound(self) -> None:
        """All invariants hold."""
        self.assert_none(self.findings())

    def assert_none(self, findings: Sequence[invariants.Finding]) -> None:
        """Fail with what was found."""
        if findings:
            self.fail('\n'.join(str(item) for item in findings))

    def wipe(self) -> None:
        """Forget everything, whatever state it is in."""
        for kind in (objects.SnapshotList, objects.VolumeList):
            for record in kind.get_all(self.context, filters={}):
                record.destroy()
        self.audit.wipe()
