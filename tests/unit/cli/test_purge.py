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

"""``audit purge``: what it deletes, and what it refuses to."""

from __future__ import annotations

import json
import os
from typing import Any
import uuid as uuidlib

from cinder_lightbits_federation.cli.outcome import Outcome
from tests.unit.cli import base
from tests.unit.driver import base as driver_base

# Old enough at once.
AT_ONCE = ('--older-than', '1e-9')


class PurgeTest(base.CliTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.backup = self.path('backup')
        self.record = self.made(self.driver)
        self.cluster, self.uuid = self.array_of(self.record)

    def admit(self) -> None:
        """Admit a host behind Cinder's back."""
        self.change(self.record, acl={'values': [driver_base.nqn(1)]},
                    IPAcl={'values': ['ALLOW_ANY']})

    def purge(self, *argv: str, uuid: str = '') -> base.Result:
        """Run the command."""
        return self.command('audit', 'purge', uuid or self.uuid, '--yes',
                            '--backup-dir', self.backup, *argv, '-f', 'json')

    def refused(self, *argv: str, uuid: str = '') -> str:
        """:returns: why nothing was deleted; nothing was changed."""
        before = {name: array.state() for name, array in self.arrays.items()}
        found = self.purge(*argv, uuid=uuid)
        self.assertEqual((Outcome.FAILED, ''), (found.outcome, found.out))
        self.assertEqual(before, {name: array.state() for name, array
                                  in self.arrays.items()})
        return found.err

    def test_deleted(self) -> None:
        self.admit()
        self.forget(self.record)
        found = self.purge(*AT_ONCE)
        self.assertEqual(Outcome.CLEAN, found.outcome, found.err)
        self.assertEqual('done', found.json()['result'])
        self.settle()
        self.assertEqual([], self.everywhere(self.record.name))
        [name] = os.listdir(self.backup)
        with open(os.path.join(self.backup, name),
                  encoding='utf-8') as file:
            kept = json.load(file)
        self.assertEqual(
            ('delete-object', 'done', self.uuid, [driver_base.nqn(1)]),
            (kept['action'], kept['result'], kept['before']['uuid'],
             kept['before']['acl']))
        self.assertIn('on no cluster', self.refused(*AT_ONCE))

    def test_closed_before_it_is_deleted(self) -> None:
        self.admit()
        self.forget(self.record)
        self.reset_counters()
        self.assertEqual(Outcome.CLEAN, self.purge(*AT_ONCE).outcome)
        requests = self.arrays[self.cluster].counters().requests
        self.assertEqual(1, requests['volumes.update'], requests)
        self.assertEqual(1, requests['volumes.delete'], requests)

    def test_snapshots(self) -> None:
        snapshot = self.taken(self.record)
        _cluster, uuid = self.array_of(snapshot)
        self.assertIn(f'the record of {snapshot.id} names it',
                      self.refused(*AT_ONCE, uuid=uuid))
        snapshot.destroy()
        self.assertEqual(Outcome.CLEAN,
                         self.purge(*AT_ONCE, uuid=uuid).outcome)
        self.settle()
        self.assertEqual([], self.everywhere(snapshot.name))
        self.on(self.record)

    def test_recorded(self) -> None:
        self.assertIn(f'the record of {self.record.id} names it',
                      self.refused(*AT_ONCE))

    def test_recorded_without_a_place(self) -> None:
        self.record.provider_location = None
        self.record.host = 'other@backend'
        self.record.save()
        self.assertIn(f'it is marked as that of {self.record.id}',
                      self.refused(*AT_ONCE))

    def test_second_copy(self) -> None:
        other = {'east': 'west', 'west': 'east'}[self.cluster]
        marks = [{'key': key, 'value': value} for key, value
                 in self.labels(self.on(self.record)[1]).items()]
        made = self.make(other, self.record.name, labels=marks)
        self.assertEqual(Outcome.CLEAN, self.purge(
            *AT_ONCE, uuid=made['UUID']).outcome)
        self.settle()
        self.assertEqual((self.cluster, self.uuid),
                         self.array_of(self.record))

    def test_young(self) -> None:
        self.forget(self.record)
        self.assertIn('it is 0.0 days old, less than 7', self.refused())

    def test_connected(self) -> None:
        self.admit()
        self.forget(self.record)
        self.arrays[self.cluster].connect_host(driver_base.nqn(1), self.uuid)
        self.assertIn(f'hosts are connected: {driver_base.nqn(1)}',
                      self.refused(*AT_ONCE))

    def test_others(self) -> None:
        foreign = self.make('east', 'csi-volume')
        self.assertIn("not marked as this cloud's, but nobody's",
                      self.refused(*AT_ONCE, uuid=foreign['UUID']))

    def test_all_conditions_are_told(self) -> None:
        told = self.refused()
        self.assertIn('less than 7', told)
        self.assertIn('names it', told)

    def test_dry_run(self) -> None:
        self.forget(self.record)
        found = self.command('audit', 'purge', self.uuid, *AT_ONCE,
                             '--dry-run', '-f', 'json')
        self.assertEqual('would be done', found.json()['result'])
        self.on(self.record)

    def test_asked(self) -> None:
        self.forget(self.record)
        found = self.command('audit', 'purge', self.uuid, *AT_ONCE,
                             '--backup-dir', self.backup,
                             stdin=base.Terminal('n\n'))
        self.assertEqual(Outcome.FINDINGS, found.outcome)
        self.assertIn(f'({self.uuid}) on cluster {self.cluster} for good?',
                      found.err)
        self.on(self.record)

    def test_who_connects_meanwhile_is_seen(self) -> None:
        """A host comes between the closing and the deleting."""
        self.admit()
        self.forget(self.record)
        update = ('cinder_lightbits_federation.lightbits.volumes.VolumeCalls'
                  '.change_volume')
        array, uuid = self.arrays[self.cluster], self.uuid

        def late(*args: Any, **kwargs: Any) -> None:
            array.connect_host(driver_base.nqn(1), uuid)

        self.stub_out(update, late)
        self.assertIn('hosts are connected', self.purge(*AT_ONCE).err)
        self.on(self.record)

    def test_arguments(self) -> None:
        self.assertEqual(Outcome.USAGE, self.purge(uuid='x').outcome)
        self.assertIn('on no cluster', self.refused(
            uuid=str(uuidlib.uuid4())))
        self.arrays['west'].stop()
        self.assertEqual(Outcome.SILENT, self.purge(
            uuid=str(uuidlib.uuid4())).outcome)
