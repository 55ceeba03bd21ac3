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
"""What came of a run, for people."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faultlab import lab


def summary(result: lab.Result) -> Iterator[str]:
    """Return what matters."""
    planned = result.plan
    yield (f'seed {planned.seed}: {planned.seconds / 60:g} minutes planned, '
           f'{result.seconds / 60:.1f} taken')
    yield from ('', 'What went wrong')
    for name, count in sorted(result.past.troubles.items()):
        yield f'  {count:5d}  {name}'
    yield from ('', 'What users asked for')
    for (act, outcome), count in sorted(result.past.outcomes.items()):
        yield f'  {count:5d}  {act}: {outcome}'
    yield from ('', f'What the operator did: {len(result.cleaned)} steps',
                f'What was there then: {result.left}', '')
    for title, found in (
            ('What was lost, doubled, misplaced or let in', result.findings),
            ('What stayed on clusters when all was deleted',
             result.remains)):
        yield f'{title}: {len(found) or "nothing"}'
        yield from (f'  {item}' for item in found)
    yield from ('', 'Everything holds.' if result.good
                else 'NOT EVERYTHING HOLDS.')


def details(result: lab.Result) -> Iterator[str]:
    """Return everything that broke and was cleaned up, in order."""
    yield from ('What broke, and when', *result.past.lines, '')
    yield from ('What the operator did', *result.cleaned)
