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

"""The copy: discovery, checkpoints, rate, verification."""

import pathlib
import time

import fixtures
import hypothesis
from hypothesis import strategies as st
from oslotest import base

from cinder_lightbits_federation.copy import discovery
from cinder_lightbits_federation.copy import engine
from cinder_lightbits_federation.copy.engine import Manner
from cinder_lightbits_federation.copy.engine import Progress
from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation.copy.extents import Extent
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import timing
from tests.copying import files
from tests.unit import properties

MIB = files.MIB
GROUP = 64 * 4096


def pages(groups, per_page):
    """:returns: a cluster's answers about changed groups of 64 blocks."""
    def ask(lba):
        left = [group for group in sorted(groups) if group * 64 >= lba]
        ranges = tuple(model.ChangedRange(
            group * 64, group * 64 + 63, b'\xff' * 8)
            for group in left[:per_page])
        more = left[per_page:]
        return model.ChangedBlocks(ranges, more[0] * 64 if more else 0)

    return ask


class ChangesTest(base.BaseTestCase):

    @properties.PROPERTY
    @hypothesis.given(st.sets(st.integers(0, 40)), st.integers(1, 5),
                      st.integers(0, 40 * 64))
    def test_from_any_position(self, groups, per_page, block):
        found = discovery.Changes(pages(groups, per_page), 41 * GROUP)
        got = {at for extent in found.since(block * 4096)
               for at in range(extent.start // 4096, extent.end // 4096)}
        self.assertEqual(
            {group * 64 + at for group in groups for at in range(64)
             if group * 64 + at >= block}, got)

    def test_ends_with_the_volume(self):
        found = discovery.Changes(pages({0}, 1), 10 * 4096)
        self.assertEqual([Extent(0, 10 * 4096)], list(found.since(0)))

    def test_a_position_at_the_end_asks_nothing(self):
        def ask(lba):
            raise lb_errors.BadRequest('past the end', status=400)

        self.assertEqual(
            [], list(discovery.Changes(ask, GROUP).since(GROUP)))

    def test_answers_that_stand_still(self):
        found = discovery.Changes(
            lambda lba: model.ChangedBlocks((), 64 if lba < 64 else lba),
            10 * GROUP)
        self.assertRaises(lb_errors.InvalidReply, list, found.since(0))

    def test_answers_that_go_back(self):
        one = model.ChangedRange(0, 63, b'\xff' * 8)
        found = discovery.Changes(
            lambda lba: model.ChangedBlocks((one,), lba + 64), 10 * GROUP)
        self.assertRaises(lb_errors.InvalidReply, list, found.since(0))

    def test_whether_it_is_told(self):
        for known, told in ((lb_errors.Forbidden('no', status=403), False),
                            (lb_errors.NotFound('no', status=404), False),
                            (lb_errors.Unsupported('no', status=501),
                             False)):
            def ask(lba, known=known):
                raise known

            self.assertIs(told, discovery.Changes(ask, GROUP).told())
        self.assertTrue(discovery.Changes(pages({1}, 1), GROUP).told())

    def test_a_cluster_that_is_away_is_not_one_that_refuses(self):
        def ask(lba):
            raise lb_errors.Unavailable('later', status=503)

        self.assertRaises(lb_errors.Unavailable,
                          discovery.Changes(ask, GROUP).told)


class Corrupting(files.FileMover):
    """Flips a byte behind the copy's back."""

    def copy(self, source, target, extents, fresh):
        written = super().copy(source, target, extents, fresh)
        with open(target.path, 'r+b') as file:
            file.seek(extents[0].start + 5)
            file.write(b'!')
        return written


class RunTest(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.source = files.thin(folder / 'source', 64 * MIB)
        self.target = files.thin(folder / 'target', 64 * MIB)
        self.todo = files.scatter(folder / 'source', 64 * MIB, 16 * MIB)
        self.mover = files.FileMover()
        self.told = []

    def run_copy(self, todo=None, begun=None, **manner):
        return engine.run(
            self.mover, self.source, self.target, todo or self.todo,
            begun or Progress(), Manner(**manner), self.told.append,
            fresh=True)

    def same(self):
        return (pathlib.Path(self.source.path).read_bytes()
                == pathlib.Path(self.target.path).read_bytes())

    def test_all_of_it_with_checkpoints(self):
        done = self.run_copy(checkpoint=4 * MIB)
        self.assertEqual((16 * MIB, 16 * MIB), (done.done, done.written))
        self.assertEqual(done, self.told[-1])
        self.assertTrue(self.same())
        steps = [0] + [item.done for item in self.told]
        for before, after in zip(steps, steps[1:], strict=False):
            self.assertLessEqual(after - before, 4 * MIB)

    def test_goes_on_after_a_checkpoint(self):
        class Stop(Exception):
            pass

        def stop(progress):
            self.told.append(progress)
            if progress.done >= 6 * MIB:
                raise Stop

        self.assertRaises(
            Stop, engine.run, self.mover, self.source, self.target,
            self.todo, Progress(), Manner(checkpoint=2 * MIB), stop,
            fresh=True)
        begun = self.told[-1]
        before = len(self.mover.calls)
        rest = [extent for extent in self.todo
                if extent.end > begun.position]
        rest[0] = Extent(max(rest[0].start, begun.position), rest[0].end)
        done = self.run_copy(rest, begun)
        self.assertEqual(16 * MIB, done.done)
        self.assertEqual(16 * MIB - begun.done, sum(
            extent.length for call in self.mover.calls[before:]
            for extent in call))
        self.assertTrue(self.same())

    def test_a_rate_is_kept(self):
        begun = time.monotonic()
        self.run_copy(rate=32 * MIB)
        # The last batch waits for nobody.
        self.assertGreaterEqual(time.monotonic() - begun,
                                (16 - 4) / 32 * 0.99)
        self.assertLessEqual(
            max(sum(item.length for item in call)
                for call in self.mover.calls), 4 * MIB)

    def test_verification(self):
        self.run_copy(verify=True)
        self.mover = Corrupting()
        exc = self.assertRaises(errors.ContentDiffers, self.run_copy,
                                verify=True)
        self.assertIn(self.target.uuid, str(exc))

    def test_nothing_to_copy_is_told_too(self):
        done = engine.run(
            self.mover, self.source, self.target, [], Progress(), Manner(),
            self.told.append, fresh=True)
        self.assertEqual([done], self.told)


class ThrottleTest(base.BaseTestCase):

    def test_no_limit(self):
        begun = time.monotonic()
        throttle = timing.Throttle(0)
        for _number in range(1000):
            throttle.admit(1 << 40)
        self.assertLess(time.monotonic() - begun, 5)

    def test_a_lull_earns_no_burst(self):
        throttle = timing.Throttle(1000)
        timing.pause(0.3)
        begun = time.monotonic()
        for _number in range(3):
            throttle.admit(100)
        self.assertGreaterEqual(time.monotonic() - begun, 0.19)
