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

"""What a user or an operator asks for, and how to tell that it was done."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
from typing import Any, ClassVar

from cinder import objects
import oslo_messaging

from tests.crash import cloud as clouds
from tests.unit.driver import base


@dataclasses.dataclass(slots=True)
class Subject:
    """What an operation is about.

    :param volume: its record; None until it is known.
    :param snapshot: the record, if it is about one.
    :param other: what else the operation needs.
    """

    volume: Any = None
    snapshot: Any = None
    other: Any = None


class Operation(abc.ABC):
    """One thing that can be asked for."""

    title: ClassVar[str]
    # Whether Cinder may send it to another attempt.
    creates: ClassVar[bool] = False

    @abc.abstractmethod
    def prepare(self, cloud: clouds.CloudTestCase) -> Subject:
        """Make what the operation needs."""

    @abc.abstractmethod
    def run(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        """Ask for it. Returns even if the service dies of it."""

    @abc.abstractmethod
    def done(self, cloud: clouds.CloudTestCase, subject: Subject) -> bool:
        """Whether Cinder says that it is done."""

    def reset(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        """An operator makes it possible to ask again."""
        cloud.reset(subject.volume, 'available')

    def repeat(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        """Ask again, unless it is done."""
        if not self.done(cloud, subject):
            self.reset(cloud, subject)
            self.run(cloud, subject)

    def verify(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        """Fail unless it is really done."""
        cloud.assertTrue(self.done(cloud, subject), 'it was not done')

    def give_up(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        """The user wants nothing of it any more: all is deleted."""
        cloud.delete_all()


class Create(Operation):
    """A new, empty volume."""

    title = 'create'
    creates = True

    def fields(self, cloud: clouds.CloudTestCase) -> dict[str, Any]:
        """:returns: what the record has beside the usual."""
        return {}

    def prepare(self, cloud: clouds.CloudTestCase) -> Subject:
        return Subject(cloud.volume_record(**self.fields(cloud)))

    def run(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        cloud.ask_to_create(subject.volume)

    def reset(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        cloud.reset(subject.volume, 'creating')

    def done(self, cloud: clouds.CloudTestCase, subject: Subject) -> bool:
        return bool(cloud.reread(subject.volume).status == 'available')


class CreateTyped(Create):
    """A volume whose type has a QoS policy, compression and replicas."""

    title = 'create, typed'

    def fields(self, cloud: clouds.CloudTestCase) -> dict[str, Any]:
        return {'specs': {'lightos:qos_policy': clouds.POLICY,
                          'lightos:num_replicas': '1',
                          'compression': '<is> True'}}

    def verify(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        super().verify(cloud, subject)
        found = cloud.on(cloud.reread(subject.volume))[1]
        cloud.assertEqual(('true', clouds.POLICY), (
            str(found['compression']).lower(), found['qosPolicyName']))


class CreateFromSnapshot(Create):
    """A volume from a snapshot."""

    title = 'create from snapshot'

    def fields(self, cloud: clouds.CloudTestCase) -> dict[str, Any]:
        return {'snapshot_id': cloud.make_snapshot(cloud.make()).id}


class Clone(Create):
    """A volume from a volume."""

    title = 'clone'

    def fields(self, cloud: clouds.CloudTestCase) -> dict[str, Any]:
        return {'source_volid': cloud.make().id}


class Delete(Operation):
    """A volume is deleted."""

    title = 'delete'

    def prepare(self, cloud: clouds.CloudTestCase) -> Subject:
        return Subject(cloud.make())

    def run(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        cloud.api.delete(cloud.context, subject.volume)

    def done(self, cloud: clouds.CloudTestCase, subject: Subject) -> bool:
        return cloud.find(objects.Volume, subject.volume.id) is None


class Extend(Operation):
    """A volume grows."""

    title = 'extend'

    def prepare(self, cloud: clouds.CloudTestCase) -> Subject:
        return Subject(cloud.make())

    def run(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        cloud.api.extend(cloud.context, subject.volume, 2)

    def done(self, cloud: clouds.CloudTestCase, subject: Subject) -> bool:
        volume = cloud.reread(subject.volume)
        return (volume.size, volume.status) == (2, 'available')


class Retype(Operation):
    """A volume gets another type where it is."""

    title = 'retype'

    def prepare(self, cloud: clouds.CloudTestCase) -> Subject:
        return Subject(cloud.make(specs={'compression': '<is> False'}),
                       other=cloud.volume_type(
                           {'compression': '<is> True'}))

    def run(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        cloud.api.retype(cloud.context, subject.volume, subject.other,
                         'never')

    def done(self, cloud: clouds.CloudTestCase, subject: Subject) -> bool:
        volume = cloud.reread(subject.volume)
        return (volume.volume_type_id, volume.status) == (subject.other,
                                                          'available')

    def verify(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        super().verify(cloud, subject)
        found = cloud.on(cloud.reread(subject.volume))[1]
        cloud.assertEqual('true', str(found['compression']).lower())


class CreateSnapshot(Operation):
    """A snapshot is taken."""

    title = 'create snapshot'

    def prepare(self, cloud: clouds.CloudTestCase) -> Subject:
        return Subject(cloud.make())

    def run(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        subject.snapshot = cloud.api.create_snapshot(
            cloud.context, subject.volume, 'name', 'text')

    def reset(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        # There is no asking again for the same snapshot, only for another.
        cloud.delete_snapshot(subject.snapshot.id)

    def done(self, cloud: clouds.CloudTestCase, subject: Subject) -> bool:
        return bool(cloud.reread(subject.snapshot).status == 'available')


class DeleteSnapshot(Operation):
    """A snapshot is deleted."""

    title = 'delete snapshot'

    def prepare(self, cloud: clouds.CloudTestCase) -> Subject:
        volume = cloud.make()
        return Subject(volume, cloud.make_snapshot(volume))

    def run(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        cloud.api.delete_snapshot(cloud.context, subject.snapshot)

    def reset(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        cloud.reset(subject.snapshot, 'available')

    def done(self, cloud: clouds.CloudTestCase, subject: Subject) -> bool:
        return cloud.find(objects.Snapshot, subject.snapshot.id) is None


class Revert(Operation):
    """A volume goes back to its latest snapshot."""

    title = 'revert to snapshot'

    def prepare(self, cloud: clouds.CloudTestCase) -> Subject:
        volume = cloud.make()
        return Subject(volume, cloud.make_snapshot(volume))

    def run(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        cloud.api.revert_to_snapshot(cloud.context, subject.volume,
                                     subject.snapshot)

    def reset(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        cloud.reset(subject.volume, 'available')
        cloud.reset(subject.snapshot, 'available')

    def repeat(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        super().repeat(cloud, subject)
        # The safety copy of Cinder's own that a broken revert leaves.
        for item in objects.SnapshotList.get_all(cloud.context, {}):
            if item.id != subject.snapshot.id:
                cloud.delete_snapshot(item.id)

    def done(self, cloud: clouds.CloudTestCase, subject: Subject) -> bool:
        return (cloud.reread(subject.volume).status,
                cloud.reread(subject.snapshot).status) == ('available',) * 2


class Attach(Operation):
    """A host gets a volume."""

    title = 'attach'

    def prepare(self, cloud: clouds.CloudTestCase) -> Subject:
        return Subject(cloud.make())

    def run(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        with contextlib.suppress(oslo_messaging.MessagingTimeout):
            cloud.api.attachment_create(
                cloud.context, subject.volume, None, base.connector(1))

    def repeat(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        for item in cloud.attachments(subject.volume):
            cloud.api.attachment_update(cloud.context, item,
                                        base.connector(1))

    def give_up(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        """Detach, and keep the volume."""
        cloud.delete_attachments(subject.volume)

    def done(self, cloud: clouds.CloudTestCase, subject: Subject) -> bool:
        return [bool(item.connector) for item
                in cloud.attachments(subject.volume)] == [True]


class Detach(Operation):
    """The only host loses a volume."""

    title = 'detach, last host'
    hosts: ClassVar[tuple[int, ...]] = (1,)

    def prepare(self, cloud: clouds.CloudTestCase) -> Subject:
        volume = cloud.make(multiattach=len(self.hosts) > 1)
        for number in self.hosts:
            cloud.attach_host(volume, base.connector(number))
        return Subject(volume)

    def run(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        for item in cloud.attachments(subject.volume):
            if item.connector['nqn'] == base.nqn(1):
                with contextlib.suppress(oslo_messaging.MessagingTimeout):
                    cloud.api.attachment_delete(cloud.context, item)

    def repeat(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        self.run(cloud, subject)

    def done(self, cloud: clouds.CloudTestCase, subject: Subject) -> bool:
        return base.nqn(1) not in [
            item.connector['nqn'] for item
            in cloud.attachments(subject.volume)]


class DetachOneOfTwo(Detach):
    """One host of two loses a volume."""

    title = 'detach, one of two hosts'
    hosts = (1, 2)


class Manage(Operation):
    """Cinder takes over a volume that somebody else has made."""

    title = 'manage'

    def prepare(self, cloud: clouds.CloudTestCase) -> Subject:
        return Subject(other=cloud.foreign_volume('east'))

    def run(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        subject.volume = cloud.api.manage_existing(
            cloud.context, clouds.PLACE, None,
            {'source-id': subject.other['UUID'], 'cluster': 'east'})

    def reset(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        self.give_up(cloud, subject)

    def done(self, cloud: clouds.CloudTestCase, subject: Subject) -> bool:
        return bool(cloud.reread(subject.volume).status == 'available')

    def verify(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        super().verify(cloud, subject)
        cloud.assertEqual(subject.other['UUID'],
                          cloud.location(subject.volume).object_uuid)

    def give_up(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        """Forget it without losing the data."""
        if self.done(cloud, subject):
            cloud.api.delete(cloud.context, cloud.reread(subject.volume),
                             unmanage_only=True)
        else:
            cloud.reset(subject.volume, 'error_managing')
            cloud.delete(subject.volume.id)
        found = cloud.objects_by_uuid('east')[subject.other['UUID']]
        cloud.assertNotIn(base.FEDERATION_ID,
                          cloud.labels(found).values())


class Unmanage(Operation):
    """Cinder lets go of a volume."""

    title = 'unmanage'

    def prepare(self, cloud: clouds.CloudTestCase) -> Subject:
        volume = cloud.make()
        return Subject(volume, other=cloud.on(volume))

    def run(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        cloud.api.delete(cloud.context, subject.volume, unmanage_only=True)

    def done(self, cloud: clouds.CloudTestCase, subject: Subject) -> bool:
        return cloud.find(objects.Volume, subject.volume.id) is None

    def verify(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        super().verify(cloud, subject)
        cluster, item = subject.other
        found = cloud.objects_by_uuid(cluster)[item['UUID']]
        cloud.assertNotIn(base.FEDERATION_ID, cloud.labels(found).values())


class ManageSnapshot(Operation):
    """Cinder takes over a snapshot of one of its volumes."""

    title = 'manage snapshot'

    def prepare(self, cloud: clouds.CloudTestCase) -> Subject:
        volume = cloud.make()
        return Subject(volume, other=cloud.foreign_snapshot(volume))

    def run(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        subject.snapshot = cloud.api.manage_existing_snapshot(
            cloud.context, {'source-id': subject.other['UUID']},
            subject.volume, 'name', 'text')

    def reset(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        """Forget it without losing the data."""
        cloud.reset(subject.snapshot, 'error')
        cloud.api.delete_snapshot(cloud.context, subject.snapshot,
                                  unmanage_only=True)

    def done(self, cloud: clouds.CloudTestCase, subject: Subject) -> bool:
        return bool(cloud.reread(subject.snapshot).status == 'available')

    def verify(self, cloud: clouds.CloudTestCase, subject: Subject) -> None:
        super().verify(cloud, subject)
        cloud.assertEqual(subject.other['UUID'],
                          cloud.location(subject.snapshot).object_uuid)


OPERATIONS: tuple[Operation, ...] = (
    Create(), CreateTyped(), CreateFromSnapshot(), Clone(), Delete(),
    Extend(), Retype(), CreateSnapshot(), DeleteSnapshot(), Revert(),
    Attach(), Detach(), DetachOneOfTwo(), Manage(), Unmanage(),
    ManageSnapshot())
