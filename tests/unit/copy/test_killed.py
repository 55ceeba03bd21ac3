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

"""A move whose process is killed, at each of the points that matter."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

from cinder_lightbits_federation.jobs.book import Book
from cinder_lightbits_federation.jobs.model import Job
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation.store.engine import parse
from cinder_lightbits_federation.store.engine import Store
from tests.copying import files
from tests.unit.copy import test_transfer
from tests.unit.copy import worker
from tests.unit.driver import base

MIB = files.MIB
DATA = 4 * MIB
CHECKPOINT = MIB


class KilledTestCase(test_transfer.CopyTestCase):

    def setUp(self) -> None:
        super().setUp()
        root = pathlib.Path(__file__).parents[3]
        self.process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-m', worker.__name__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=root)
        self.addCleanup(self.end)

    def end(self) -> None:
        """End the worker; it ends with its input."""
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        self.process.wait()

    def run_worker(self, order: worker.Order) -> int:
        """:returns: the exit status, negative for a signal."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(dataclasses.asdict(order)) + '\n')
        stdin.flush()
        return int(stdout.readline())

    def order(self, record: Any, **changes: Any) -> Any:
        """What the worker is told to move a volume."""
        path = pathlib.Path(self.folder, 'record')
        path.write_text(self.reread(record).provider_location)
        moved = pathlib.Path(self.folder, 'moved')
        moved.unlink(missing_ok=True)
        return worker.Order(
            config=os.path.join(self.folder, 'cinder.conf'),
            options={'lightbits_federation_id': base.FEDERATION_ID,
                     'lightbits_default_num_replicas': 1,
                     'lightbits_operation_timeout': 30},
            folders=self.folders(record),
            locks=os.path.join(self.folder, 'locks'),
            store=f'sqlite:///{self.folder}/jobs.sqlite', record=str(path),
            moved=str(moved), name=record.name, name_id=record.name_id,
            size=base.GIB, checkpoint=CHECKPOINT, nqn=base.nqn(8))

    def folders(self, record: Any) -> dict[str, str]:
        """Where each cluster keeps its data, one folder beside the other."""
        root = self.path(record).parents[1]
        return {name: str(root / array.name)
                for name, array in self.arrays.items()}

    def jobs(self, order: worker.Order) -> list[Job]:
        """The jobs of this test's move, those that have ended too."""
        book = Book(Store(parse(order.store)), 'mover')
        return [job for job in book.all() if job.subject == order.name_id]


class KilledTest(KilledTestCase):

    def check(self, point: str) -> None:
        """Kill at a point, have another host go on, and look."""
        record = self.filled(DATA)
        home, found = self.on(record)
        content = files.content(self.path(record))
        order = self.order(record)
        self.assertEqual(-signal.SIGKILL, self.run_worker(
            dataclasses.replace(order, point=point)), point)
        self.assertEqual(0, self.run_worker(
            dataclasses.replace(order, nqn=base.nqn(9))), point)
        there, moved = self.on(record)
        self.assertNotEqual(home, there, point)
        path = self.arrays[there].data_path(moved['UUID'])
        self.assertEqual(content, files.content(path), point)
        location = Location.parse(pathlib.Path(order.record).read_text())
        self.assertEqual(moved['UUID'], location.object_uuid, point)
        # Nothing else is there, and nobody has access.
        self.assertEqual({home: [], there: [f"{record.name} ['ALLOW_NONE']"]},
                         self.objects(), point)
        # Its job is one, and has ended.
        job, = self.jobs(order)
        self.assertIs(JobState.DONE, job.state, point)
        copied = sum(map(int, pathlib.Path(order.moved).read_text().split()))
        self.assertTrue(DATA <= copied <= DATA + CHECKPOINT,
                        f'{point}: {copied}')
        self.arrays[there].request(
            'DELETE', f'/api/v2/projects/default/volumes/{moved["UUID"]}')
        self.wait(lambda: not any(self.objects().values()) or None)

    def test_all_points(self) -> None:
        for point in worker.POINTS:
            self.check(point)
