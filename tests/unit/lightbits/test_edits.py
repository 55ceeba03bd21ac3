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

"""Changing volumes by compare and swap, against simulated clusters."""

from __future__ import annotations

from collections.abc import Callable
import threading

from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import timing
from tests.unit.lightbits import sim_base

PROJECT = sim_base.PROJECT
GIB = sim_base.GIB

Decide = Callable[[model.Volume], model.VolumeChange | None]


def growing(size: int) -> Hook:
    """:returns: a hook that wants at least `size`, and counts its calls."""
    return Hook(lambda volume: None if volume.size >= size
                else model.VolumeChange(size=size))


class Hook:
    """Counts how often it is asked."""

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self.calls = 0

    def __call__(self, volume: model.Volume) -> model.VolumeChange | None:
        self.calls += 1
        return self._decide(volume)


class EditTestCase(sim_base.SimTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.east = self.cluster()
        self.made = self.client(self.east)
        self.source = self.volume(self.made)
        self.east.reset_counters()

    def edit(self, hook: Hook, seconds: float = 5) -> model.Volume:
        return self.made.update_volume(
            PROJECT, self.source.uuid, hook,
            deadline=timing.Deadline.after(seconds))

    def asked(self) -> dict[str, int]:
        return self.east.counters().requests

    def test_quiet_case(self) -> None:
        volume = self.edit(growing(2 * GIB))
        self.assertEqual(2 * GIB, volume.size)
        self.assertEqual({'volumes.get': 2, 'volumes.update': 1},
                         self.asked())

    def test_nothing_to_do(self) -> None:
        hook = growing(GIB)
        self.assertEqual(GIB, self.edit(hook).size)
        self.assertEqual({'volumes.get': 1}, self.asked())
        self.assertEqual(1, hook.calls)

    def test_waits_until_it_is_visible(self) -> None:
        self.east.set_delays(update=0.3)
        volume = self.edit(growing(2 * GIB))
        self.assertEqual((2 * GIB, model.VolumeState.AVAILABLE),
                         (volume.size, volume.state))
        self.assertEqual(1, self.asked()['volumes.update'])

    def test_waits_for_a_new_volume(self) -> None:
        self.east.set_delays(create=0.2)
        new = self.made.create_volume(PROJECT, model.NewVolume(
            name='new', size=GIB, replicas=1))
        self.assertIs(model.VolumeState.CREATING, new.state)
        volume = self.made.update_volume(
            PROJECT, new.uuid, growing(2 * GIB),
            deadline=timing.Deadline.after(5))
        self.assertEqual(2 * GIB, volume.size)

    def test_a_conflict_is_decided_anew(self) -> None:
        """Somebody changes the volume between the look and the write."""
        for status in (412, 400, 500):
            self.east.set_switches(etag_mismatch=status)
            seen: list[str] = []

            def labelled(volume: model.Volume,
                         seen: list[str] = seen, value: str = str(status),
                         ) -> model.VolumeChange | None:
                if volume.labels.get('mine') == value:
                    return None
                if not seen:
                    self.made.change_volume(
                        PROJECT, volume.uuid, model.VolumeChange(
                            labels={'theirs': value}), etag=None)
                seen.append(volume.etag)
                return model.VolumeChange(
                    labels={**volume.labels, 'mine': value})

            volume = self.edit(Hook(labelled))
            self.assertEqual({'mine': str(status), 'theirs': str(status)},
                             volume.labels)

    def test_looks_that_lag_behind_the_write(self) -> None:
        size = GIB
        for status in (412, 400, 500):
            self.east.set_switches(etag_mismatch=status)
            for looks in (1, 2, 4):
                size += GIB
                self.east.reset_counters()
                self.lag(looks)
                self.assertEqual(size, self.edit(growing(size)).size)
                self.assertEqual({'volumes.get': looks + 2,
                                  'volumes.update': 1}, self.asked())

    def test_looks_that_lag_behind_a_write_in_doubt(self) -> None:
        size = GIB
        for status in (412, 400, 500):
            self.east.set_switches(etag_mismatch=status)
            for looks in (1, 2, 4):
                size += GIB
                self.east.fault('apply_then_drop', route='volumes.update',
                                count=1)
                self.lag(looks)
                self.assertEqual(size, self.edit(growing(size)).size)

    def lag(self, looks: int) -> None:
        """Have looks after the first show what was before the write."""
        self.east.fault('stale', route='volumes.get', count=looks, after=1,
                        versions=1)

    def test_in_doubt_the_volume_tells(self) -> None:
        self.east.fault('apply_then_drop', route='volumes.update', count=1)
        self.assertEqual(2 * GIB, self.edit(growing(2 * GIB)).size)
        self.assertEqual(1, self.asked()['volumes.update'])

    def test_what_was_not_applied_is_written_again(self) -> None:
        for fault in ({'kind': 'drop_before'},
                      {'kind': 'status', 'status': 500},
                      {'kind': 'status', 'status': 409},
                      {'kind': 'status', 'status': 503}):
            self.east.reset_counters()
            self.east.fault(route='volumes.update', count=1, **fault)
            size = self.made.get_volume(PROJECT, self.source.uuid).size
            self.assertEqual(size + GIB, self.edit(growing(size + GIB)).size)
            self.assertEqual(2, self.asked()['volumes.update'])

    def test_refused_for_good(self) -> None:
        """Shrinking needs a flag that is never sent."""
        error = self.assertRaises(errors.BadRequest, self.edit, Hook(
            lambda volume: model.VolumeChange(size=GIB // 2)))
        self.assertEqual(400, error.status)
        self.assertEqual(2, self.asked()['volumes.update'])

    def test_runs_out_of_time(self) -> None:
        self.east.fault('status', route='volumes.update', status=500)
        error = self.assertRaises(timing.DeadlineExceeded, self.edit,
                                  growing(2 * GIB), 1)
        self.assertIn(self.source.uuid, str(error))
        self.assertIn('state Available', str(error))
        self.assertIn('HTTP 500', str(error))

    def test_stuck(self) -> None:
        self.east.set_delays(update=60)
        self.made.change_volume(PROJECT, self.source.uuid,
                                model.VolumeChange(size=2 * GIB), etag=None)
        error = self.assertRaises(timing.DeadlineExceeded, self.edit,
                                  growing(GIB), 1)
        self.assertIn('state Updating', str(error))

    def test_final_states(self) -> None:
        self.east.set_delays(delete=60)
        self.made.delete_volume(PROJECT, self.source.uuid)
        error = self.assertRaises(errors.BadRequest, self.edit,
                                  growing(2 * GIB))
        self.assertIn('Deleting', str(error))
        self.source = self.volume(self.made)
        self.east.set_volume_state(self.source.uuid, 'Failed')
        error = self.assertRaises(errors.BadRequest, self.edit,
                                  growing(2 * GIB))
        self.assertIn('Failed', str(error))
        self.assertNotIn('volumes.update', self.asked())

    def test_no_answer_at_all(self) -> None:
        self.east.fault('blackhole')
        self.assertRaises(errors.Unreachable, self.edit, growing(2 * GIB),
                          0.3)

    def test_no_answer_any_more(self) -> None:
        self.east.fault('blackhole', route='volumes.get', after=1)
        error = self.assertRaises(timing.DeadlineExceeded, self.edit,
                                  growing(2 * GIB), 1)
        self.assertIn('state Available', str(error))

    def test_a_refusal_after_the_write(self) -> None:
        """It does not hide that the change was made."""
        self.east.fault('status', route='volumes.get', status=403, after=1)
        error = self.assertRaises(errors.Ambiguous, self.edit,
                                  growing(2 * GIB))
        self.assertIn('403', str(error))
        self.east.clear_faults()
        now = self.made.get_volume(PROJECT, self.source.uuid)
        self.assertEqual(2 * GIB, now.size)

    def test_a_refusal_after_a_write_in_doubt(self) -> None:
        self.east.fault('apply_then_drop', route='volumes.update', count=1)
        self.east.fault('status', route='volumes.get', status=403, after=1)
        self.assertRaises(errors.Ambiguous, self.edit, growing(2 * GIB))

    def test_a_refusal_before_any_write(self) -> None:
        self.east.fault('status', route='volumes.update', status=409,
                        count=1)
        self.east.fault('status', route='volumes.get', status=403, after=1)
        self.assertRaises(errors.Forbidden, self.edit, growing(2 * GIB))

    def test_gone(self) -> None:
        self.made.delete_volume(PROJECT, self.source.uuid)
        self.assertRaises(errors.NotFound, self.edit, growing(2 * GIB))

    def test_errors_of_the_hook_go_up(self) -> None:
        def no(volume: model.Volume) -> None:
            raise KeyError('mine')

        self.assertRaises(KeyError, self.edit, Hook(no))

    def test_no_host_is_lost_in_a_race(self) -> None:
        hosts = [f'nqn.2014-08.org.nvmexpress:uuid:{number}'
                 for number in range(8)]
        threads = [threading.Thread(target=self._grant, args=(host,))
                   for host in hosts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        volume = self.made.get_volume(PROJECT, self.source.uuid)
        self.assertEqual(frozenset(hosts), volume.acl)

    def _grant(self, host: str) -> None:
        self.edit(Hook(lambda volume: None if host in volume.acl
                       else model.VolumeChange(acl=volume.acl | {host})), 20)
