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

"""Thick clones, by the operator's command and the driver's service."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from cinder_lightbits_federation.cli.jobs import OF_SERVICES
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.copy import errors as copy_errors
from cinder_lightbits_federation.copy.thick import ThickClones
from cinder_lightbits_federation.copy.wanted import FREE_CLONE
from cinder_lightbits_federation.copy.wanted import THICK_CLONE
from tests.copying import files
from tests.unit.cli import base
from tests.unit.cli.test_terminal import Pty
from tests.unit.copy.books import Books

GIB, MIB = base.GIB, files.MIB


class CloningTestCase(base.CliTestCase):
    """Clusters that keep data, and a service that is told when to work."""

    NODES = 1

    def setUp(self) -> None:
        self.stub_out('cinder_lightbits_federation.service.connect_late',
                      lambda name: name)
        super().setUp()
        self.driver._attacher = lambda: files.FileAttacher(self.arrays)
        self.driver._mover = files.FileMover
        self.books = Books(self.driver.federation, self.path('books'))
        self.pause()

    def add_array(self, name: str, **options: Any) -> Any:
        """Clusters here have files, and one more project."""
        return super().add_array(name, data_plane='sparse',
                                 projects=['default', 'gold'], **options)

    def write_config(self, clusters: Any, **backend: Any) -> str:
        """A service that may ask Cinder."""
        return super().write_config(
            clusters, **{'lightbits_os_cloud': 'here', **backend})

    @property
    def book(self) -> Any:
        """The jobs of the backend."""
        return self.driver.desk.book

    def pause(self) -> None:
        """Have the service do no jobs."""
        assert self.driver._service is not None
        runner = self.driver._service._runner
        assert runner is not None
        runner.stop()

    def work(self) -> None:
        """Have the service do jobs."""
        service = self.driver._service
        assert service is not None
        service.do_jobs(ThickClones(
            self.driver.transfer, self.books, 30).handlers(), {})

    def filled(self, **fields: Any) -> Any:
        """A volume on the cluster "east", with data."""
        made = self.made(self.driver, specs={'lightos:cluster': 'east'},
                         **fields)
        files.scatter(self.file('east', self.array_of(made)[1]), GIB,
                      2 * MIB)
        return made

    def file(self, cluster: str, uuid: str) -> pathlib.Path:
        """The file of a volume."""
        return pathlib.Path(str(self.arrays[cluster].data_path(uuid)))

    def clone(self, *argv: str, kind: str = 'volume',
              outcome: Outcome = Outcome.CLEAN) -> Any:
        """Run the command."""
        return self.rows(kind, 'clone', *argv, outcome=outcome)

    def on_cluster(self, name: str, uuid: str) -> dict[str, Any]:
        """:returns: a volume as its cluster has it."""
        found, = (item for item in self.arrays[name].state()['volumes']
                  if item['UUID'] == uuid)
        return dict(found)

    def refused(self, told: str, *argv: str, kind: str = 'volume',
                outcome: Outcome = Outcome.USAGE) -> None:
        """The command fails and says why; no job was made."""
        found = self.command(kind, 'clone', *argv)
        self.assertEqual(outcome, found.outcome, found.err)
        self.assertIn(told, found.err)
        self.assertEqual([], self.book.all())


class DoneTest(CloningTestCase):

    def test_the_service_goes_on_with_all_that_can_be_resumed(self) -> None:
        assert self.driver._service is not None
        runner = self.driver._service._runner
        assert runner is not None
        self.assertEqual(OF_SERVICES, set(runner._handlers))

    def test_registered(self) -> None:
        source = self.filled()
        self.work()
        pty = Pty()
        told = self.command(
            'volume', 'clone', source.id, '--cluster', 'west', '--name',
            'copy', '--yes', '--wait', '-f', 'json',
            stderr=pty.stream).json()
        self.assertRegex(pty.text(), r'\r\x1b\[K\[#{30}\] done: 100\.0%\n')
        self.assertEqual(('done', 'west', 'east', True), (
            told['state'], told['cluster'], told['source_cluster'],
            told['managed']))
        (key, row), = self.books.all().items()
        self.assertEqual((told['cinder_id'], 'copy', 'available', 'west'), (
            key, row['name'], row['status'], row['pool']))
        made = self.on_cluster('west', told['uuid'])
        self.assertEqual(f'volume-{key}', made['name'])
        self.assertEqual(
            files.content(self.file('east', self.array_of(source)[1])),
            files.content(self.file('west', told['uuid'])))

    def test_all_that_can_be_chosen(self) -> None:
        source = self.filled()
        self.work()
        told = self.clone(
            source.name, '--cluster', self.arrays['west'].uuid, '--name',
            'by-hand.1', '--project', 'gold', '--size', '3',
            '--num-replicas', '1', '--rate', '0', '--unmanaged', '--yes',
            '--wait')
        made = self.on_cluster('west', told['uuid'])
        self.assertEqual(('by-hand.1', 'gold', str(3 * GIB), 1), (
            made['name'], made['projectName'], str(made['size']),
            made['replicaCount']))
        self.assertEqual(['cinder_released'], list(self.labels(made)))
        self.assertEqual({}, self.books.all())
        # Nobody here misses it.
        self.assertEqual([], self.kinds(projects=['default', 'gold']))
        size, _digest = files.content(self.file('west', told['uuid']))
        self.assertEqual(3 * GIB, size)
        job, = self.book.all()
        self.assertEqual((FREE_CLONE, 0), (job.kind, job.parameters['rate']))

    def test_a_snapshot_on_its_own_cluster(self) -> None:
        source = self.filled()
        content = files.content(self.file('east',
                                          self.array_of(source)[1]))
        snapshot = self.taken(source)
        os.truncate(self.file('east', self.array_of(source)[1]), 0)
        self.work()
        told = self.clone(snapshot.id, '--cluster', 'east', '--name', 'it',
                          '--unmanaged', '--yes', '--wait', kind='snapshot')
        self.assertEqual(content, files.content(
            self.file('east', told['uuid'])))

    def test_what_cinder_does_not_take_stays_and_is_named(self) -> None:
        source = self.filled()
        manage = self.books.manage

        def refuse(mark: str, *args: Any) -> None:
            self.books.note('refused', mark=mark, status='error_managing')

        self.books.manage = refuse  # type: ignore[method-assign]
        self.work()
        found = self.command('volume', 'clone', source.id, '--cluster',
                             'west', '--name', 'copy', '--yes', '--wait')
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIn('Cinder has not taken over volume', found.err)
        job, = self.book.all()
        finding = self.only()
        self.assertEqual(('unfinished-copy', job.id),
                         (finding.kind.value, finding.cinder_id))
        copied = files.FileMover.copy
        self.stub_out('tests.copying.files.FileMover.copy', None)
        self.books.manage = manage  # type: ignore[method-assign]
        self.rows('job', 'resume', job.id)
        self.wait(lambda: self.book.get(job.id).state.value == 'done'
                  or None)
        self.stub_out('tests.copying.files.FileMover.copy', copied)
        row, = self.books.all().values()
        self.assertEqual('available', row['status'])

    def test_an_error_is_told(self) -> None:
        source = self.filled()
        before = self.everything()

        def fail(*args: Any) -> int:
            raise copy_errors.ContentDiffers('other data')

        self.stub_out('tests.copying.files.FileMover.copy', fail)
        self.work()
        found = self.command('volume', 'clone', source.id, '--cluster',
                             'west', '--name', 'copy', '--yes', '--wait')
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertRegex(found.err, 'job .* is failed: .*other data')
        self.assertEqual(before, self.everything())

    def everything(self) -> dict[str, list[str]]:
        """Names of all that is on the clusters."""
        return {name: sorted(item['name'] for kind in ('volumes',
                                                       'snapshots')
                             for item in array.state()[kind]
                             if item['state'] != 'Deleting')
                for name, array in self.arrays.items()}


class AskedForTest(CloningTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.source = self.filled()
        self.argv = [self.source.id, '--cluster', 'west', '--name', 'copy']

    def test_the_job(self) -> None:
        told = self.clone(*self.argv, '--type', 'fast', '--rate', '50',
                          '--yes')
        job, = self.book.all()
        self.assertEqual((job.id, 'queued', ''), (
            told['job'], told['state'], told['uuid']))
        home, uuid = self.array_of(self.source)
        self.assertEqual((THICK_CLONE, 'copy on west'),
                         (job.kind, job.subject))
        self.assertEqual({
            'source': uuid, 'snapshot': False,
            'source_cluster': self.arrays[home].uuid,
            'source_project': 'default',
            'cluster': self.arrays['west'].uuid, 'project': 'default',
            'name': 'copy', 'size': GIB, 'replicas': 1, 'rate': 50 * MIB,
            'volume_type': 'fast'}, job.parameters)

    def test_asked_again(self) -> None:
        first = self.clone(*self.argv, '--yes')
        self.assertEqual(first['job'],
                         self.clone(*self.argv, '--yes')['job'])
        found = self.command('volume', 'clone', *self.argv, '--size', '2',
                             '--yes')
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIn(first['job'], found.err)

    def test_a_trial_changes_nothing(self) -> None:
        told = self.clone(*self.argv, '--dry-run')
        self.assertEqual(('west', 'copy', GIB), (
            told['cluster'], told['name'], told['size']))
        self.assertEqual([], self.book.all())

    def test_nobody_is_there_to_ask(self) -> None:
        self.refused('use --yes or --dry-run', *self.argv)

    def test_no_is_an_answer(self) -> None:
        stdin = base.Terminal('n\n')
        found = self.command('volume', 'clone', *self.argv, stdin=stdin)
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIn('nothing was changed', found.err)
        self.assertEqual([], self.book.all())

    def test_bad_options_are_named(self) -> None:
        for told, *argv in (
                ('--size is at least 1', '--size', '0'),
                ("--cluster: no cluster 'south'", '--cluster', 'south'),
                ('--name', '--name', ' '),
                ("--name: 'a b' is none", '--name', 'a b', '--unmanaged'),
                (f'--name: a volume {self.foreign()}', '--name',
                 'theirs', '--unmanaged')):
            with self.subTest(argv):
                self.refused(told, *self.argv, *argv, '--yes')

    def test_what_the_parser_refuses(self) -> None:
        for argv in (('--size', 'big'), ('--num-replicas', '4'),
                     ('--rate', '-1'),
                     ('--type', 'x', '--unmanaged'),
                     ('--dry-run', '--yes')):
            with self.subTest(argv):
                found = self.command('volume', 'clone', *self.argv, *argv)
                self.assertEqual(Outcome.USAGE, found.outcome)

    def foreign(self) -> str:
        """:returns: name of a volume of others on the cluster "west"."""
        if not any(item['name'] == 'theirs' for item
                   in self.arrays['west'].state()['volumes']):
            self.make('west', 'theirs')
        return 'theirs'

    def test_less_than_there_is(self) -> None:
        large = self.filled(size=3)
        self.refused('--size: 2 GiB are less than the 3 GiB', large.id,
                     *self.argv[1:], '--size', '2', '--yes')

    def test_what_the_cluster_does_not_take(self) -> None:
        for told, *argv in (
                ('2 replicas', '--num-replicas', '2'),
                ('in project nowhere', '--project', 'nowhere'),
                ('of 9999999 GiB', '--size', '9999999')):
            with self.subTest(argv):
                self.refused(told, *self.argv, *argv, '--yes',
                             outcome=Outcome.FAILED)

    def test_no_such_source(self) -> None:
        for kind in ('volume', 'snapshot'):
            self.refused(f'no {kind} nothing was found', 'nothing',
                         *self.argv[1:], '--yes', kind=kind,
                         outcome=Outcome.FAILED)

    def test_a_silent_cluster(self) -> None:
        self.arrays['west'].stop()
        found = self.command('volume', 'clone', *self.argv, '--yes')
        self.assertIn(found.outcome, (Outcome.FAILED, Outcome.SILENT))
        self.assertIn('west', found.err)
        self.assertEqual([], self.book.all())


class WithoutCloudTest(CloningTestCase):

    def write_config(self, clusters: Any, **backend: Any) -> str:
        """A service that cannot ask Cinder."""
        return super().write_config(clusters, lightbits_os_cloud=None)

    def test_only_without_cinder(self) -> None:
        source = self.filled()
        argv = (source.id, '--cluster', 'west', '--name', 'copy')
        self.refused('lightbits_os_cloud', *argv, '--yes')
        self.assertIn('job', self.clone(*argv, '--unmanaged', '--yes'))
        kinds = set(self.driver.handlers())
        self.assertIn(FREE_CLONE, kinds)
        self.assertNotIn(THICK_CLONE, kinds)
