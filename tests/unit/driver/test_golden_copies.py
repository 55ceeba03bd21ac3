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

"""Masters that are copied from another cluster, with their data."""

from __future__ import annotations

import contextlib
import pathlib
import threading
from typing import Any

from cinder_lightbits_federation import cinderlocks
from cinder_lightbits_federation.copy.slots import Slots
from cinder_lightbits_federation.federation import Federation
from cinder_lightbits_federation.goldencopies import MASTER_COPY
from cinder_lightbits_federation import goldenrules
from cinder_lightbits_federation.jobs.model import JobState
from tests.copying import files
from tests.unit.driver import base
from tests.unit.driver import golden

MIB = files.MIB


class Killed(BaseException):
    """The end of the process, as far as this can be had in a test."""


class CopiesTest(golden.GoldenTestCase):

    NODES = 1

    def setUp(self) -> None:
        super().setUp()
        self.mover = files.FileMover()
        self.drv = self.equipped(lightbits_golden_image_copies=True)

    def add_array(self, name: str, **options: Any) -> Any:
        """Clusters that keep data."""
        return super().add_array(name, data_plane='sparse', **options)

    def equipped(self, **options: Any) -> Any:
        """A driver that copies between files."""
        drv = self.golden_driver(**options)
        drv._attacher = lambda: files.FileAttacher(self.arrays)
        drv._mover = lambda: self.mover
        drv.desk.book.lease = 0.5
        return drv

    def download(self, drv: Any, context: Any, volume: Any, *args: Any,
                 **kwargs: Any) -> None:
        """Write what the image holds."""
        super().download(drv, context, volume, *args, **kwargs)
        files.scatter(self.file(volume), base.GIB, 4 * MIB)

    def file(self, record: Any) -> pathlib.Path:
        """The file of a volume, wherever it is."""
        cluster, found = self.on(record)
        return pathlib.Path(str(
            self.arrays[cluster].data_path(found['UUID'])))

    def boot_on(self, name: str) -> Any:
        """A volume of the image on a cluster."""
        record = self.boot(self.drv, specs={'lightos:cluster': name})
        self.assertEqual(name, self.on(record)[0])
        return record

    def masters(self) -> list[str]:
        """The clusters with a master; nothing else is left anywhere."""
        self.assertEqual([], [
            item['name'] for array in self.arrays.values()
            for kind in ('volumes', 'snapshots')
            for item in array.state()[kind]
            if item['state'] != 'Deleting'
            and not item['name'].startswith(('volume-',
                                             goldenrules.PREFIX))])
        return sorted(name for name, _item in self.hidden())

    def test_an_image_is_downloaded_once(self) -> None:
        first = self.boot_on('east')
        content = files.content(self.file(first))[1]
        for _again in range(2):
            for name in ('west', 'north', 'east'):
                self.assertEqual(content, files.content(
                    self.file(self.boot_on(name)))[1])
        self.assertEqual([first.id], self.downloads)
        self.assertEqual(['east', 'north', 'west'], self.masters())
        jobs = self.drv.desk.book.all()
        self.assertEqual([(MASTER_COPY, JobState.DONE)] * 2,
                         [(job.kind, job.state) for job in jobs])
        # No more than the image holds is copied, once for each cluster.
        self.assertEqual(8 * MIB, sum(
            item.length for call in self.mover.calls for item in call))

    def test_it_is_downloaded_where_copying_fails(self) -> None:
        def fail(*args: Any) -> int:
            raise OSError(5, 'no path')

        first = self.boot_on('east')
        self.mover.copy = fail  # type: ignore[method-assign]
        second = self.boot_on('west')
        self.assertEqual([first.id, second.id], self.downloads)
        self.assertEqual(['east', 'west'], self.masters())
        self.assertEqual(files.content(self.file(first)),
                         files.content(self.file(second)))

    def test_it_is_downloaded_while_others_copy(self) -> None:
        """A drain has all turns, and ends only after the volume is made."""
        first = self.boot_on('east')
        with contextlib.ExitStack() as drain:
            slots = Slots(cinderlocks.get_lock, 2)
            for _turn in range(2):
                drain.enter_context(slots.held(
                    [self.arrays['west'].uuid], lambda: None))
            late = threading.Timer(20, drain.close)
            late.daemon = True
            late.start()
            self.addCleanup(late.cancel)
            create = self.mock_object(
                Federation, 'create_volume', autospec=True,
                side_effect=Federation.create_volume)
            second = self.boot_on('west')
        # Nothing is made for a copy that gets no turn.
        self.assertEqual([], [
            call for call in create.call_args_list
            if call.args[1].ref.name.startswith('for_copy_')])
        self.assertEqual([first.id, second.id], self.downloads)
        self.assertEqual(['east', 'west'], self.masters())
        job, = self.drv.desk.book.all()
        self.assertIs(JobState.FAILED, job.state)

    def test_it_is_downloaded_where_the_other_is_silent(self) -> None:
        first = self.boot_on('east')
        self.arrays['east'].stop()
        self.wait(lambda: 'east' not in {
            item.name for item in self.drv.federation.golden._others(
                self.drv.federation.registry.by_uuid(
                    self.arrays['west'].uuid))} or None)
        second = self.boot_on('west')
        self.assertEqual([first.id, second.id], self.downloads)

    def test_it_is_downloaded_unless_copies_are_wanted(self) -> None:
        self.drv.tear_down()
        self.drv = self.equipped()
        self.boot_on('east')
        self.boot_on('west')
        self.assertEqual((2, []), (len(self.downloads), self.mover.calls))

    def kill(self) -> None:
        """Let the service die in the middle of a copy."""
        def dying(*args: Any) -> int:
            raise Killed

        self.boot_on('east')
        plain = self.mover.copy
        self.mover.copy = dying  # type: ignore[method-assign]
        self.assertRaises(Killed, self.boot_on, 'west')
        self.mover.copy = plain  # type: ignore[method-assign]

    def test_another_service_goes_on_after_one_was_killed(self) -> None:
        self.kill()
        self.drv.tear_down()
        self.drv = self.equipped(lightbits_golden_image_copies=True)
        service = self.drv._service
        assert service is not None
        job, = self.drv.desk.book.all()
        service._runner.look_now()
        self.wait(lambda: self.drv.desk.book.get(job.id).ended)
        self.assertIs(JobState.DONE, self.drv.desk.book.get(job.id).state)
        self.assertEqual(['east', 'west'], self.masters())
        self.boot_on('west')
        self.assertEqual(1, len(self.downloads))

    def test_one_that_is_cancelled_leaves_nothing(self) -> None:
        def cancelling(*args: Any) -> int:
            job, = self.drv.desk.book.all()
            self.drv.desk.book.cancel(job.id)
            return plain(*args)

        self.boot_on('east')
        plain = self.mover.copy
        self.mover.copy = cancelling  # type: ignore[method-assign]
        self.boot_on('west')
        self.assertEqual(2, len(self.downloads))
        self.assertEqual(['east', 'west'], self.masters())
        job, = self.drv.desk.book.all()
        self.assertIs(JobState.CANCELLED, job.state)
