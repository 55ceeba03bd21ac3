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

"""Thick copies and moves between simulated clusters that keep data."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import dataclasses
import pathlib
from typing import Any
import uuid as uuidlib

from cinder_lightbits_federation import cinderlocks
from cinder_lightbits_federation.copy.engine import Manner
from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation.copy.relocation import Relocation
from cinder_lightbits_federation.copy.slots import Slots
from cinder_lightbits_federation.copy.transfer import Order
from cinder_lightbits_federation.copy.transfer import Transfer
from cinder_lightbits_federation.copy import tries
from cinder_lightbits_federation import errors as federation_errors
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation import records
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.spec import VolumeSpec
from tests.copying import files
from tests.unit.driver import base

MIB = files.MIB
GIB = base.GIB


class Ledger(files.Transient):
    """Counts what is saved and ends the copy when it is told to.

    :ivar saves: how often it was saved.
    :ivar end: raises, or not, with each save.
    """

    def __init__(self) -> None:
        super().__init__()
        self.saves = 0
        self.end: Callable[[int], None] = lambda number: None

    def save(self, state: Any, done: int, total: int) -> None:
        """See `ledger.Ledger`."""
        super().save(state, done, total)
        self.saves += 1
        self.end(self.saves)


class CopyTestCase(base.FederationTestCase):
    """Clusters with data, and copies between their files."""

    CLUSTERS = ('east', 'west')
    NODES = 1

    def setUp(self) -> None:
        super().setUp()
        self.mock_object(tries, 'PAUSES', (0.0, 0.0))
        self.drv = self.start_driver(lightbits_default_num_replicas=1)
        self.attacher = files.FileAttacher(self.arrays)
        self.mover = files.FileMover()
        self.transfer = Transfer(
            self.drv.federation, self.attacher, self.mover,
            Slots(cinderlocks.get_lock, 2), Manner(checkpoint=MIB))
        self.relocation = Relocation(self.transfer, (0.01, 0.01))

    def add_array(self, name: str, **options: Any) -> Any:
        """Clusters that keep data."""
        return super().add_array(name, data_plane='sparse', **options)

    def filled(self, total: int = 4 * MIB, **fields: Any) -> Any:
        """A volume of Cinder with scattered data."""
        record = self.made(self.drv, **fields)
        files.scatter(self.path(record), GIB, total)
        return record

    def path(self, record: Any) -> pathlib.Path:
        """The file of a volume, wherever it is."""
        cluster, found = self.on(record)
        path = self.arrays[cluster].data_path(found['UUID'])
        assert path is not None
        return pathlib.Path(path)

    def request(self, record: Any) -> CreateRequest:
        """What the driver would ask for."""
        return self.drv._request(self.reread(record))

    def order(self, record: Any, **changes: Any) -> Order:
        """A copy of a volume for a new record, elsewhere."""
        source = self.drv.federation.finder.volume(
            self.drv._ref(record), self.drv.federation.deadline())
        ref = VolumeRef('copy', str(uuidlib.uuid4()), 'default')
        return Order(source, CreateRequest(
            ref, GIB, VolumeSpec(), files.Transient(),  # type: ignore[arg-type]
            exclude={source.cluster.uuid or '': 'the source'}), **changes)

    def objects(self) -> dict[str, list[str]]:
        """Names of all that is on the clusters, and who has access."""
        return {name: sorted(
            f'{item["name"]} {item["acl"]["values"]}'
            for kind in ('volumes', 'snapshots')
            for item in array.state()[kind]
            if item['state'] != 'Deleting')
            for name, array in self.arrays.items()}


class ThickCopyTest(CopyTestCase):

    def test_a_volume(self) -> None:
        record = self.filled()
        home, _found = self.on(record)
        before = self.objects()
        ledger = Ledger()
        made = self.transfer.thick_copy(self.order(record), ledger)
        self.assertNotEqual(home, made.cluster)
        path = self.arrays[made.cluster].data_path(made.volume.uuid)
        self.assertEqual(files.content(self.path(record)),
                         files.content(path))
        # 4 MiB in pieces that do not touch each other.
        self.assertEqual((4 * MIB, 4 * MIB), (ledger.done, ledger.total))
        self.assertEqual([], self.attacher.live)
        after = self.objects()
        self.assertEqual(before[home], after[home])
        self.assertEqual(1, len(after[made.cluster]))
        self.assertIn("['ALLOW_NONE']", after[made.cluster][0])

    def test_asked_again_it_gives_the_same(self) -> None:
        record = self.filled(MIB)
        order, ledger = self.order(record), Ledger()
        made = self.transfer.thick_copy(order, ledger)
        calls = len(self.mover.calls)
        again = self.transfer.thick_copy(order, ledger)
        self.assertEqual(made.volume.uuid, again.volume.uuid)
        self.assertEqual(calls, len(self.mover.calls))

    def test_a_snapshot(self) -> None:
        record = self.filled(MIB)
        snapshot = self.snapshot(record)
        self.saved(snapshot, self.drv.create_snapshot(snapshot))
        wanted = files.content(self.path(record))
        files.scatter(self.path(record), GIB, 2 * MIB, seed=2)
        federation = self.drv.federation
        source = federation.finder.snapshot(
            records.snapshot_ref(snapshot, 'default'), federation.deadline())
        order = self.order(record)
        made = self.transfer.thick_copy(
            Order(source, order.request), Ledger())
        path = self.arrays[made.cluster].data_path(made.volume.uuid)
        self.assertEqual(wanted, files.content(path))

    def test_without_the_call(self) -> None:
        record = self.filled(2 * MIB)
        home, _found = self.on(record)
        for status in (403, 404, 501):
            self.arrays[home].fault(
                'status', route='snapshots.diff', status=status)
            ledger = Ledger()
            made = self.transfer.thick_copy(self.order(record), ledger)
            self.assertEqual((GIB, GIB), (ledger.done, ledger.total))
            path = pathlib.Path(self.arrays[made.cluster].data_path(
                made.volume.uuid))
            self.assertEqual(files.content(self.path(record)),
                             files.content(path))
            self.assertLess(path.stat().st_blocks * 512, 8 * MIB)
            self.arrays[home].clear_faults()

    def test_other_sectors_are_refused(self) -> None:
        record = self.filled(MIB, specs={'lightos:sector_size': '512'})
        order = self.order(record)
        wrong = CreateRequest(
            order.request.ref, GIB, VolumeSpec.from_extra_specs(
                {'lightos:sector_size': '4096'}), order.request.recorder,
            exclude=order.request.exclude)
        before = self.objects()
        self.assertRaisesRegex(
            errors.Unsuitable, '512', self.transfer.thick_copy,
            Order(order.source, wrong), Ledger())
        self.assertEqual(before, self.objects())
        made = self.transfer.thick_copy(order, Ledger())
        self.assertEqual(512, made.volume.sector_size)

    def test_a_smaller_target_is_refused(self) -> None:
        record = self.filled(MIB, size=2)
        self.assertRaises(errors.Unsuitable, self.transfer.thick_copy,
                          self.order(record), Ledger())

    def test_cancel_at_any_moment(self) -> None:
        record = self.filled()
        before = self.objects()
        ledger = Ledger()
        self.transfer.thick_copy(self.order(record), ledger)
        moments = ledger.saves
        self.assertGreater(moments, 8)
        (target, gone), = (
            (name, item) for name, array in self.arrays.items()
            for item in array.state()['volumes']
            if item['name'].startswith('for_copy_'))
        self.arrays[target].request(
            'DELETE', f'/api/v2/projects/default/volumes/{gone["UUID"]}')
        for moment in range(1, moments + 1):
            ledger = Ledger()

            def cancel(number: int, moment: int = moment) -> None:
                if number >= moment:
                    raise errors.Cancelled('asked for')

            ledger.end = cancel
            self.assertRaises(errors.Cancelled, self.transfer.thick_copy,
                              self.order(record), ledger)
            self.assertEqual(before, self.objects(), moment)
            self.assertEqual([], self.attacher.live)
            self.assertEqual({}, ledger.load())

    def test_who_has_lost_it_touches_nothing(self) -> None:
        record = self.filled()
        ledger = Ledger()

        def lose(number: int) -> None:
            if ledger.done:
                raise errors.Lost('another host has it')

        ledger.end = lose
        order = self.order(record)
        self.assertRaises(errors.Lost, self.transfer.thick_copy, order,
                          ledger)
        ledger.end = lambda number: None
        before = ledger.done
        self.mover.calls.clear()
        # The other host has another name, and goes on.
        self.attacher = files.FileAttacher(self.arrays, base.nqn(9))
        other = Transfer(self.drv.federation, self.attacher, self.mover,
                         self.transfer.slots, self.transfer.manner)
        made = other.thick_copy(order, ledger)
        moved = sum(item.length for call in self.mover.calls
                    for item in call)
        self.assertEqual(4 * MIB, before + moved)
        path = self.arrays[made.cluster].data_path(made.volume.uuid)
        self.assertEqual(files.content(self.path(record)),
                         files.content(path))

    def test_a_snapshot_that_is_gone_begins_the_copy_anew(self) -> None:
        record = self.filled()
        home, _found = self.on(record)
        ledger = Ledger()

        def lose(number: int) -> None:
            if ledger.done:
                raise errors.Lost('another host has it')

        ledger.end = lose
        order = self.order(record)
        self.assertRaises(errors.Lost, self.transfer.thick_copy, order,
                          ledger)
        taken, = self.arrays[home].state()['snapshots']
        self.arrays[home].request(
            'DELETE', f'/api/v2/projects/default/snapshots/{taken["UUID"]}')
        files.scatter(self.path(record), GIB, 2 * MIB, seed=7)
        ledger.end = lambda number: None
        made = self.transfer.thick_copy(order, ledger)
        path = self.arrays[made.cluster].data_path(made.volume.uuid)
        self.assertEqual(files.content(self.path(record)),
                         files.content(path))
        self.assertEqual(1, len(self.objects()[made.cluster]))


class MoveTest(CopyTestCase):

    def move(self, record: Any, ledger: Any = None) -> Any:
        request = self.request(record)
        return self.relocation.move(request, ledger or Ledger())

    def test_a_volume_moves(self) -> None:
        record = self.filled()
        home, found = self.on(record)
        content = files.content(self.path(record))
        made = self.move(record)
        there, moved = self.on(record)
        self.assertNotEqual(home, there)
        self.assertEqual((there, made.volume.uuid),
                         (made.cluster, moved['UUID']))
        self.assertEqual(content, files.content(self.path(record)))
        self.assertEqual(moved['UUID'],
                         self.location(record).object_uuid)
        self.assertEqual([], self.objects()[home])
        self.assertEqual(1, len(self.objects()[there]))
        self.drv.delete_volume(self.reread(record))
        self.assertEqual([], self.objects()[there])

    def test_what_is_written_during_the_first_pass_arrives(self) -> None:
        record = self.filled()
        path = self.path(record)
        moved = self.mover.copy

        def late(*args: Any) -> int:
            if not self.mover.calls:
                with path.open('r+b') as file:
                    # One block is written late, and another is cleared.
                    file.seek(GIB - 8192)
                    file.write(b'late' * 1024)
                    extent = args[2][0]
                    file.seek(extent.start)
                    file.write(bytes(4096))
            return moved(*args)

        self.mover.copy = late  # type: ignore[method-assign]
        self.move(record)
        with self.path(record).open('rb') as file:
            file.seek(GIB - 8192)
            self.assertEqual(b'late' * 1024, file.read(4096))
        self.assertEqual(2, sum(
            extent.length // 4096 for extent in self.mover.calls[-1]))

    def test_in_use_is_refused(self) -> None:
        record = self.filled(MIB)
        self.drv.initialize_connection(record, base.connector(1))
        before = self.objects()
        self.assertRaisesRegex(errors.Unsuitable, 'in use', self.move,
                               record)
        self.assertEqual(before, self.objects())

    def test_nowhere_to_go(self) -> None:
        home = 'east'
        record = self.filled(MIB, specs={'lightos:cluster': home})
        before = self.objects()
        self.assertRaises(federation_errors.NoClusterFits, self.move, record)
        self.assertEqual(before, self.objects())

    def test_a_taken_name_is_found_before_anything_moves(self) -> None:
        record = self.filled(MIB)
        home, _found = self.on(record)
        other, = set(self.arrays) - {home}
        self.arrays[other].request(
            'POST', '/api/v2/projects/default/volumes', {
                'name': record.name, 'size': '4194304', 'replicaCount': 1,
                'acl': {'values': ['ALLOW_NONE']}})
        before = self.objects()
        self.assertRaises(federation_errors.NameTaken, self.move, record)
        self.assertEqual(before, self.objects())
        self.assertEqual(self.arrays[home].uuid,
                         self.location(record).cluster_uuid)

    def test_goes_on_in_the_middle_of_the_cut_over(self) -> None:
        record = self.filled(MIB)
        home, _found = self.on(record)
        ledger = Ledger()
        self.arrays[home].fault('status', route='volumes.delete', status=403,
                                after=1)
        self.assertRaises(lb_errors.Forbidden, self.move, record, ledger)
        # All data is there and the record says so.
        self.assertNotEqual(self.arrays[home].uuid,
                            self.location(record).cluster_uuid)
        self.arrays[home].clear_faults()
        self.mover.calls.clear()
        self.move(record, ledger)
        self.assertEqual([], self.mover.calls)
        self.assertEqual([], self.objects()[home])
        self.on(record)

    def test_asked_for_another_destination_it_begins_anew(self) -> None:
        self.add_array('north')
        drv = self.drv
        drv.tear_down()
        self.drv = self.start_driver(lightbits_default_num_replicas=1)
        self.relocation = Relocation(Transfer(
            self.drv.federation, self.attacher, self.mover,
            self.transfer.slots, self.transfer.manner))
        record = self.filled()
        home, _found = self.on(record)
        first, second = sorted(set(self.arrays) - {home})
        ledger = Ledger()

        def lose(number: int) -> None:
            if ledger.done:
                raise errors.Lost('killed')

        ledger.end = lose
        request = dataclasses.replace(self.request(record),
                                      only=self.arrays[first].uuid)
        self.assertRaises(errors.Lost, self.relocation.move, request, ledger)
        ledger.end = lambda number: None
        made = self.relocation.move(dataclasses.replace(
            request, only=self.arrays[second].uuid), ledger)
        self.assertEqual((second, second), (made.cluster, self.on(record)[0]))
        self.assertEqual({home: [], first: []}, {
            name: self.objects()[name] for name in (home, first)})

    def abandon(self, record: Any, ledger: Any) -> None:
        request = self.request(record)
        self.relocation.abandon(request.ref, ledger, request.recorder)

    def test_abandoned_in_the_middle(self) -> None:
        record = self.filled()
        before = self.objects()
        ledger = Ledger()

        def lose(number: int) -> None:
            if ledger.done:
                raise errors.Lost('killed')

        ledger.end = lose
        with contextlib.suppress(errors.Lost):
            self.move(record, ledger)
        self.assertNotEqual(before, self.objects())
        ledger.end = lambda number: None
        self.abandon(record, ledger)
        self.assertEqual(before, self.objects())
        self.abandon(record, ledger)
        self.assertEqual(before, self.objects())
