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
"""What tests over a stack share: one for all tests of a class."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from oslotest import base
from testtools import content

from tests.embedded import waiting
from tests.functional import work
from tests.stack import bed
from tests.stack import operators

_LOG_TAIL = 300_000


class StackTest(work.Work, base.BaseTestCase):
    """Three ``cinder-volume`` in one cluster over three clusters.

    Starting takes some seconds, so the tests of a class share one stack and
    have to leave it as they have found it: with all services up, and nothing
    in it.
    """

    coordination: ClassVar[str] = 'etcd'
    threads: ClassVar[bool] = False
    # Of the simulated clusters.
    options: ClassVar[Mapping[str, Any]] = {}
    bed: ClassVar[bed.Bed]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.bed = bed.Bed(
            coordination=cls.coordination, threads=cls.threads,
            clusters=dict.fromkeys(bed.CLUSTERS, cls.options))
        cls.addClassCleanup(cls.bed.close)
        cls.bed.stack.start()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.bed.stack.stop()
        super().tearDownClass()

    def setUp(self) -> None:
        super().setUp()
        self.stack = self.bed.stack
        self.clusters = self.bed.clusters
        self.addOnException(self._keep_logs)
        self.sdk = self.stack.sdk()
        self.marks = {host: len(service.log()) for host, service
                      in self.stack.volumes.items()}

    def audit(self) -> None:
        """All invariants hold, with nothing in progress."""
        self.bed.let_time_pass()
        self.assertEqual([], self.bed.findings())

    def clean_up(self, **options: Any) -> list[str]:
        """Do what an operator does after crashes; see `Operator`."""
        done = operators.Operator(self.stack).clean_up(**options)
        self.addDetail('clean-up', content.text_content('\n'.join(done)))
        return done

    def wait_for_volumes(self, ids: Collection[str],
                         timeout: float = 180.0) -> None:
        """Wait until all of some volumes are available; none may fail.

        Looks into the database: to list many volumes again and again keeps
        the API busy.
        """
        def look() -> bool:
            states = {item.id: item.status
                      for item in self.stack.records().volumes}
            self.assertNotIn('error', states.values())
            return all(states[number] == 'available' for number in ids)

        self.wait(look, f'{len(ids)} volumes', timeout)

    def remove_all(self) -> None:
        """Delete everything, as users would."""
        for attachment in list(self.sdk.attachments()):
            self.sdk.delete_attachment(attachment.id)
        for snapshot in list(self.sdk.snapshots()):
            self.sdk.delete_snapshot(snapshot.id)
        self.wait(lambda: not self.stack.records().snapshots,
                  'the snapshots to be gone', 180)
        for volume in list(self.sdk.volumes()):
            self.sdk.delete_volume(volume.id)
        self.wait(lambda: not self.stack.records().volumes,
                  'the volumes to be gone', 300)

    def revive(self) -> None:
        """Start every ``cinder-volume`` that does not run."""
        down = [service for service in self.stack.volumes.values()
                if not service.running]
        for service in down:
            service.launch()
        for service in down:
            service.wait()
        self.wait_for_states(dict.fromkeys(self.stack.volumes, 'up'))

    def wait_for_states(self, wanted: dict[str, str]) -> None:
        """Wait until Cinder sees hosts up or down, as told."""
        def look() -> bool:
            seen = {item.host.partition('@')[0]: item.state
                    for item in self.sdk.services(binary='cinder-volume')}
            return wanted.items() <= seen.items()

        self.wait(look, f'services to be {wanted}', 180)

    def fresh_log(self, host: str) -> str:
        """Return what a service has logged during this test."""
        return self.stack.volumes[host].log()[self.marks[host]:]

    def worker_of(self, volume: Any,
                  timeout: float = waiting.PATIENCE) -> str:
        """Return the host that makes, or has made, a volume."""
        text = f'Volume {volume.id}: being created'

        def look() -> str | None:
            return next((host for host in self.stack.volumes
                         if text in self.fresh_log(host)), None)

        found: str = self.wait(look, f'a log to say {text!r}', timeout)
        return found

    def _keep_logs(self, exc_info: object) -> None:
        for host, text in self.stack.logs().items():
            self.addDetail(f'{host}.log',
                           content.text_content(text[-_LOG_TAIL:]))
            wrong = [line for line in text.splitlines() if ' ERROR ' in line]
            self.addDetail(f'{host}.errors', content.text_content(
                '\n'.join(wrong)[-_LOG_TAIL:]))
