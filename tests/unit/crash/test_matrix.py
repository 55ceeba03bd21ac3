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

"""A quick part of the crash matrix: death right after a write to a cluster.

That is where the most is at stake: the cluster knows and Cinder does not.
The whole matrix is run by the functional tests.
"""

from collections.abc import Iterable, Sequence
import logging
from typing import Any
from unittest import mock

from cinder_lightbits_federation import creator
from cinder_lightbits_federation import federation
from cinder_lightbits_federation import maker
from tests.crash import cloud
from tests.crash import continuations
from tests.crash import failed_clone
from tests.crash import matrix
from tests.crash import operations
from tests.crash import table
from tests.functional import test_crash_matrix

WRITES = ('POST ', 'PUT ', 'DELETE ')


def after_writes(effects: Sequence[str]) -> Iterable[int]:
    """The moments right after a write to a cluster."""
    return [number for number, name in enumerate(effects, 1)
            if name.startswith(WRITES)]


class QuickMatrixTestCase(cloud.CloudTestCase):
    """What must hold."""

    def setUp(self) -> None:
        super().setUp()
        self.logged(logging.ERROR)

    def test_death_after_every_write(self) -> None:
        following = [continuations.Restart(), continuations.Repeat()]
        for row in matrix.run(self, following=following,
                              choice=after_writes):
            self.assertEqual([], row.problems)
            self.assertEqual(2, len(row.cells))

    def test_a_clone_that_fails(self) -> None:
        row = failed_clone.run(self, after_writes)

        self.assertEqual([], row.problems)
        self.assertEqual(3, row.cells[failed_clone.CONTINUATION].runs)


class BrokenDriverTestCase(cloud.CloudTestCase):
    """What is broken is found: the matrix can fail."""

    def problems(self, continuation: continuations.Continuation) -> list[str]:
        """What the matrix finds about creates."""
        self.logged(logging.CRITICAL)
        return [text for row in matrix.run(
            self, [operations.Create()], [continuation], after_writes)
            for text in row.problems]

    def test_without_settling_a_volume_cannot_be_made_again(self) -> None:
        def forget(*_args: Any) -> None:
            """Act as if there had been no earlier attempt."""

        with mock.patch.object(maker.Maker, '_settle', forget), \
                mock.patch.object(creator.Creator, '_inherit', forget):
            self.assertNotEqual([], self.problems(continuations.Repeat()))

    def test_a_clean_up_that_does_not_look_takes_the_volume(self) -> None:
        delete = federation.Federation.delete_volume

        def blind(itself: Any, ref: Any, attempt: Any = None) -> None:
            delete(itself, ref)

        with mock.patch.object(federation.Federation, 'delete_volume',
                               blind):
            found = self.problems(continuations.Reschedule())

        self.assertIn('it is not where its record says', found[0])

    def test_a_delete_that_does_nothing_leaves_volumes_behind(self) -> None:
        with mock.patch.object(federation.Federation, 'delete_volume',
                               autospec=True):
            found = self.problems(continuations.Delete())

        self.assertIn('Cinder does not know this object of ours', found[0])


class SharesTestCase(cloud.base.test.TestCase):
    """The functional tests run the whole matrix, in shares."""

    def test_every_operation_is_in_one_share(self) -> None:
        shares = [operation
                  for share in test_crash_matrix.MatrixTest.__subclasses__()
                  for operation in share.operations]

        self.assertEqual(sorted(table.OPERATIONS), sorted(shares))


class PageTestCase(cloud.base.test.TestCase):
    """The reference page is of this matrix."""

    def setUp(self) -> None:
        super().setUp()
        self.outline = table.outline(table.PAGE.read_text(encoding='utf-8'))

    def test_it_has_every_operation_and_continuation(self) -> None:
        self.assertEqual(['Operation', *table.OPERATIONS],
                         list(self.outline))
        self.assertEqual(list(table.FOLLOWING), self.outline['Operation'])

    def test_everything_holds_that_can_be_combined(self) -> None:
        for operation in operations.OPERATIONS:
            for item, verdict in zip(continuations.CONTINUATIONS,
                                     self.outline[operation.title],
                                     strict=False):
                wanted = (table.HOLDS if item.applies(operation)
                          else table.NOT_APPLICABLE)
                self.assertEqual(wanted, verdict.partition(';')[0])

    def test_it_can_be_read_back(self) -> None:
        cell = matrix.Cell(runs=3, left={'access': {1, 2}})
        bad = matrix.Cell(runs=3, problems={'1.0': 'text', '2.0': 'text'})
        rows = [matrix.Row('one', ('a', 'a', 'b'), {'delete': cell}),
                matrix.Row('two', (), {'repeat': bad})]

        text = table.page(rows)

        found = table.outline(text)
        place = table.FOLLOWING.index
        self.assertEqual('holds; access at #', found['one'][place('delete')])
        self.assertEqual('FAILS (# of #)', found['two'][place('repeat')])
        self.assertIn('a (2 times); b', text)
