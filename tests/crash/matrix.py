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

"""Every operation, killed at every moment, followed by everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
import contextlib
import dataclasses
import itertools
import traceback

from tests.crash import cloud as clouds
from tests.crash import continuations
from tests.crash import operations

INTERMEDIATE = 'intermediate snapshot'

Choice = Callable[[Sequence[str]], Iterable[int]]


def everywhere(effects: Sequence[str]) -> Iterable[int]:
    """Before the first effect, and after each."""
    return range(len(effects) + 1)


@dataclasses.dataclass(slots=True)
class Cell:
    """What came of one operation followed by one continuation.

    :param runs: how many combinations were run.
    :param problems: what went wrong, by combination.
    :param left: moments of death by what is left over, all of it harmless.
    """

    runs: int = 0
    problems: dict[str, str] = dataclasses.field(default_factory=dict)
    left: dict[str, set[int]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """An operation, its effects, and a cell for each continuation."""

    operation: str
    effects: tuple[str, ...]
    cells: dict[str, Cell]

    @property
    def problems(self) -> list[str]:
        """What went wrong, for people."""
        return [f'{self.operation}, {name}, {combination}: {problem}'
                for name, cell in self.cells.items()
                for combination, problem in cell.problems.items()]


def run(cloud: clouds.CloudTestCase,
        wanted: Iterable[operations.Operation] = operations.OPERATIONS,
        following: Iterable[continuations.Continuation] = (
            continuations.CONTINUATIONS),
        choice: Choice = everywhere) -> Iterator[Row]:
    """Run a part of the matrix, all of it by default.

    :param choice: which moments to die at, given the effects there are.
    """
    after = tuple(following)
    for operation in wanted:
        # The first time, Cinder also makes records of quota usage.
        rehearse(cloud, operation)
        effects = rehearse(cloud, operation)
        yield Row(operation.title, effects, {
            item.title: _cell(cloud, operation, item, choice(effects))
            for item in after if item.applies(operation)})


def rehearse(cloud: clouds.CloudTestCase, operation: operations.Operation
             ) -> tuple[str, ...]:
    """Run an operation undisturbed.

    :returns: its effects.
    """
    with clean_slate(cloud):
        subject = operation.prepare(cloud)
        life = cloud.service.life
        with life.watched():
            operation.run(cloud, subject)
        operation.verify(cloud, subject)
        cloud.assert_sound()
        return tuple(life.effects)


@contextlib.contextmanager
def clean_slate(cloud: clouds.CloudTestCase) -> Iterator[None]:
    """A clean start for one combination, whatever the last one left."""
    if cloud.service.life.dead:
        cloud.boot()
    try:
        yield
    finally:
        cloud.wipe()


def _cell(cloud: clouds.CloudTestCase, operation: operations.Operation,
          continuation: continuations.Continuation, moments: Iterable[int]
          ) -> Cell:
    cell = Cell()
    for moment in moments:
        for variant in itertools.count():
            cell.runs += 1
            try:
                with clean_slate(cloud):
                    more = _combine(cloud, operation, continuation, moment,
                                    variant, cell.left)
            # Anything at all is a finding; the rest goes on.
            except Exception:  # noqa: BLE001
                cell.problems[f'{moment}.{variant}'] = traceback.format_exc()
                break
            if not more:
                break
    return cell


def _combine(cloud: clouds.CloudTestCase, operation: operations.Operation,
             continuation: continuations.Continuation, moment: int,
             variant: int, left: dict[str, set[int]]) -> bool:
    """Run one combination; see `Continuation.go_on`."""
    subject = operation.prepare(cloud)
    service = cloud.service
    with service.life.watched(moment):
        operation.run(cloud, subject)
    cloud.assertEqual(moment, len(service.life.effects),
                      'it has fewer effects than it had before')
    service.kill()
    more = continuation.go_on(cloud, operation, subject, variant)
    cloud.assert_sound()
    if cloud.audit.intermediates():
        left.setdefault(INTERMEDIATE, set()).add(moment)
    cloud.delete_all()
    cloud.assert_sound()
    return more
