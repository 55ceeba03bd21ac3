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

from __future__ import annotations

import time
from typing import Any
import uuid

from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.copy.wanted import THICK_CLONE
from cinder_lightbits_federation.drain.work import DRAIN
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.store import engine
from cinder_lightbits_federation.store.services import Known
from tests.unit.cli import base

OTHER = f'stor2@{base.base.BACKEND}'


class StatesTestCase(base.CliTestCase):

    def write_config(self, clusters: Any, **backend: Any) -> str:
        """Have the service look often."""
        return super().write_config(clusters, **{
            'lightbits_poll_interval': 1, **backend})

    @property
    def shared(self) -> Any:
        """What the running service shares."""
        assert self.driver._service is not None
        return self.driver._service.shared

    def status(self, outcome: Outcome = Outcome.CLEAN
               ) -> dict[str, dict[str, Any]]:
        """:returns: what ``cluster status`` lists, by cluster."""
        rows = self.rows('cluster', 'status', outcome=outcome)
        return {row['cluster']: row for row in rows}

    def until_all_agree(self) -> dict[str, dict[str, Any]]:
        """Wait until all services have applied what is set."""
        def look() -> Any:
            found = self.command('cluster', 'status', '-f', 'json')
            if found.outcome is not Outcome.CLEAN:
                return None
            return {row['cluster']: row for row in found.json()}

        return dict(self.wait(look))


class SetTest(StatesTestCase):

    def test_it_is_applied_and_told(self) -> None:
        made = self.rows('cluster', 'set', 'west', '--disable', '--reason',
                         'new switches')
        self.assertEqual(('disabled', 'enabled', 'enabled'),
                         (made['state'], made['was'], made['configured']))
        found = self.until_all_agree()['west']
        self.assertEqual(
            ('disabled', 'enabled', 'new switches', '1 of 1'),
            tuple(found[key] for key in ('state', 'configured', 'reason',
                                         'known_by')))
        self.assertRegex(found['since'], r'^\d{4}-\d\d-\d\dT.*Z$')
        self.assertIn('@', found['set_by'])
        listed = {row['name']: row['admin_state']
                  for row in self.rows('cluster', 'list')}
        self.assertEqual({'east': 'enabled', 'west': 'disabled'}, listed)

        made = self.rows('cluster', 'set', 'west', '--reset')

        self.assertEqual(('enabled', 'disabled'),
                         (made['state'], made['was']))
        self.assertEqual(('enabled', ''), tuple(
            self.until_all_agree()['west'][key]
            for key in ('state', 'reason')))

    def test_every_state(self) -> None:
        west = self.arrays['west'].uuid
        for argv, state in ((['--drain'], 'draining'),
                            (['--lost', west.upper()], 'lost'),
                            (['--disable'], 'disabled'),
                            (['--enable'], 'enabled')):
            made = self.rows('cluster', 'set', west, *argv, '--reason', 'x')
            self.assertEqual(state, made['state'])
            self.assertEqual(state,
                             self.shared.states.all()['west'].state.value)

    def test_a_reason_is_needed(self) -> None:
        found = self.command('cluster', 'set', 'west', '--disable')
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('--reason', found.err)
        self.assertEqual({}, self.shared.states.all())

    def test_lost_takes_the_right_uuid(self) -> None:
        found = self.command('cluster', 'set', 'west', '--reason', 'fire',
                             '--lost', self.arrays['east'].uuid)
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn(self.arrays['west'].uuid, found.err)
        self.assertEqual({}, self.shared.states.all())

    def test_a_trial_changes_nothing(self) -> None:
        made = self.rows('cluster', 'set', 'west', '--drain', '--reason',
                         'x', '--dry-run')
        self.assertEqual('draining', made['state'])
        self.assertEqual({}, self.shared.states.all())

    def test_a_uuid_that_no_section_has(self) -> None:
        uuids = {name: array.uuid for name, array in self.arrays.items()}
        bare = {name: {key: value for key, value in section.items()
                       if key != 'cluster_uuid'}
                for name, section in self.sections().items()}
        shared = self.shared
        self.driver.tear_down()
        self.write_config(bare)
        shared.services.tell(OTHER, {'west': Known(uuids['west'], 'enabled')})
        self.arrays['west'].stop_api(0)

        made = self.rows('cluster', 'set', uuids['west'].upper(),
                         '--disable', '--reason', 'x')
        self.assertEqual('west', made['cluster'])

        # Nobody has told this one, so it is asked itself.
        made = self.rows('cluster', 'set', uuids['east'], '--disable',
                         '--reason', 'x')
        self.assertEqual('east', made['cluster'])
        self.assertEqual({'east', 'west'}, set(shared.states.all()))
        found = self.command('cluster', 'set', str(uuid.uuid4()), '--reset')
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('known are: east, west', found.err)

    def test_no_such_cluster(self) -> None:
        found = self.command('cluster', 'set', 'north', '--reset')
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('known are: east, west', found.err)


class StatusTest(StatesTestCase):

    def test_services_that_differ(self) -> None:
        east, west = (self.arrays[name].uuid for name in ('east', 'west'))
        self.shared.services.tell(OTHER, {
            'east': Known(east, 'disabled'), 'north': Known('n', 'enabled')})

        found = self.status(Outcome.FINDINGS)

        self.assertEqual([f'{OTHER}: goes by disabled'],
                         found['east']['differs_on'])
        self.assertEqual([f'{OTHER}: not known'],
                         found['west']['differs_on'])
        self.assertEqual(
            ('not configured here', [f'{base.base.HOST}: not known']),
            (found['north']['configured'], found['north']['differs_on']))
        self.shared.services.tell(OTHER, {
            'east': Known(west, 'enabled'), 'west': Known('', 'enabled')})
        found = self.status(Outcome.FINDINGS)
        self.assertEqual([f'{OTHER}: is {west}'],
                         found['east']['differs_on'])
        self.assertEqual([f'{OTHER}: not reached yet'],
                         found['west']['differs_on'])

    def test_services(self) -> None:
        row, = self.rows('cluster', 'status', '--services')
        self.assertEqual((base.base.HOST, True),
                         (row['service'], row['alive']))
        self.assertIn(f'east {self.arrays["east"].uuid} enabled',
                      row['clusters'])

    def test_nothing_is_live(self) -> None:
        self.driver.tear_down()
        found = self.command('cluster', 'status')
        self.assertEqual(Outcome.CLEAN, found.outcome)
        self.assertIn('No service of the backend is live', found.err)

    def test_commands_go_on_without_the_store(self) -> None:
        self.driver.tear_down()
        self.write_config(
            self.sections(),
            lightbits_store_connection=f'sqlite:///{self.folder}')
        began = time.monotonic()
        found = self.command('cluster', 'list')
        self.assertLess(time.monotonic() - began, engine.MIGRATION_LIMIT / 2)
        self.assertEqual(Outcome.CLEAN, found.outcome)
        self.assertIn('are not known', found.err)
        found = self.command('cluster', 'status')
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIn(self.folder, found.err)

    def test_the_password_is_not_told(self) -> None:
        self.write_config(
            self.sections(), lightbits_store_connection=(
                'mysql+pymysql://u:correct-horse@127.0.0.1:1/d'))
        found = self.command('-v', '-v', 'cluster', 'status', '--debug')
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIn('127.0.0.1', found.err)
        self.assertNotIn('correct-horse', found.err + found.out)


class JobsTest(StatesTestCase):

    def test_the_life_of_a_job(self) -> None:
        book = self.shared.book
        job = book.add('copy', 'v', {'to': 'east'})
        row, = self.rows('job', 'list')
        self.assertEqual(
            (job.id, 'copy', 'v', 'queued', None, 0),
            tuple(row[key] for key in ('id', 'kind', 'subject', 'state',
                                       'progress', 'total')))
        claim = book.claim(job, 'stor1')
        book.save(job.id, claim, {'at': 5}, 5, 20)
        shown = self.rows('job', 'show', job.id)
        self.assertEqual(('running', 0.25, 'stor1'), tuple(
            shown[key] for key in ('state', 'progress', 'host')))
        self.assertIn('"at": 5', shown['checkpoint'])
        self.assertEqual('running', self.rows(
            'job', 'cancel', job.id, '--dry-run')['state'])
        nobody = self.command('job', 'cancel', job.id)
        self.assertEqual(Outcome.USAGE, nobody.outcome)
        asked = self.command('job', 'cancel', job.id, '-f', 'json',
                             stdin=base.Terminal('n\n'))
        self.assertEqual('running', asked.json()['state'])
        self.assertIn(f'End job {job.id} (copy of v)? [y/N]', asked.err)
        self.assertEqual('cancelling', self.rows(
            'job', 'cancel', job.id, '--yes')['state'])

    def test_resume(self) -> None:
        book = self.shared.book
        job = book.add(DRAIN, 'east', {})
        claim = book.claim(job, 'stor1')
        refused = self.command('job', 'resume', job.id)
        self.assertEqual(Outcome.FAILED, refused.outcome)
        self.assertIn('is running; only a failed one', refused.err)
        book.end(job.id, claim, JobState.FAILED, 'why')
        self.assertEqual('why', self.rows('job', 'show', job.id)['error'])
        self.assertEqual('failed', self.rows(
            'job', 'resume', job.id, '--dry-run')['state'])
        self.assertEqual('queued',
                         self.rows('job', 'resume', job.id)['state'])

    def failed(self, kind: str, **checkpoint: str) -> Any:
        """:returns: a job that has failed."""
        book = self.shared.book
        job = book.add(kind, 'v', {})
        claim = book.claim(job, 'stor1')
        book.save(job.id, claim, checkpoint, 0, 1)
        book.end(job.id, claim, JobState.FAILED, 'why')
        return job

    def test_a_failed_one_is_dismissed(self) -> None:
        for kind, checkpoint in (('attach', {'step': 'token'}),
                                 (DRAIN, {'moved': 'x'}), ('migrate', {})):
            job = self.failed(kind, **checkpoint)
            self.assertEqual('failed', self.rows(
                'job', 'cancel', job.id, '--dry-run')['state'])
            for _time in range(2):
                done = self.rows('job', 'cancel', job.id, '--yes')
                self.assertEqual(('cancelled', 'why'),
                                 (done['state'], done['error']))
            self.assertEqual(
                1, self.shared.book.tally()[kind, JobState.CANCELLED])
            self.assertNotIn((kind, JobState.FAILED),
                             self.shared.book.tally())
            self.assertEqual('queued', self.shared.book.add(
                kind, 'v', {}).state.value)

    def test_what_a_failed_one_has_left(self) -> None:
        for kind in ('migrate', THICK_CLONE):
            job = self.failed(kind, stage='copied')
            self.assertEqual('cancelling', self.rows(
                'job', 'cancel', job.id, '--yes')['state'])

    def test_what_no_service_does_is_not_resumed(self) -> None:
        """It would be queued for ever."""
        book = self.shared.book
        for kind in ('attach', 'migrate', 'clone'):
            job = book.add(kind, 'v', {})
            book.end(job.id, book.claim(job, 'stor1'), JobState.FAILED, 'why')
            found = self.command('job', 'resume', job.id)
            self.assertEqual(Outcome.FAILED, found.outcome)
            self.assertIn(f'({kind} of v) was done by whoever asked',
                          found.err)
            self.assertEqual(JobState.FAILED, book.get(job.id).state)

    def test_pages_and_filters(self) -> None:
        made = [self.shared.book.add('copy', f'v{number}', {}).id
                for number in range(5)][::-1]
        first = self.command('job', 'list', '--limit', '2', '-f', 'json')
        self.assertEqual(made[:2], [row['id'] for row in first.json()])
        self.assertIn(f'--marker {made[1]}', first.err)
        rest = self.rows('job', 'list', '--limit', '0', '--marker', made[1])
        self.assertEqual(made[2:], [row['id'] for row in rest])
        self.assertEqual([], self.rows('job', 'list', '--state', 'done'))
        self.assertEqual([], self.rows('job', 'list', '--kind', 'drain'))

    def test_no_such_job(self) -> None:
        for command in ('show', 'cancel', 'resume'):
            found = self.command('job', command, 'no')
            self.assertEqual(Outcome.FAILED, found.outcome)
            self.assertIn('no job no', found.err)
