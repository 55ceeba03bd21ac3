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

"""What the administrative states allow, from the one table."""

from __future__ import annotations

from collections.abc import Iterator

from cinder_lightbits_federation.views import AdminState
from cinder_lightbits_federation.views import ALLOWED
from cinder_lightbits_federation.views import Use

TITLE = 'What an administrative state allows'
HEADER = ('admin_state', *(use.value for use in Use))
WIDTHS = (16, *(21 for _use in Use))
INTRO = ('The option ``admin_state`` of a cluster says what it may be used '
         'for. It is applied without a restart.')


def rows() -> Iterator[tuple[str, ...]]:
    """:returns: the rows of the table."""
    for state in AdminState:
        yield (f'``{state.value}``',
               *('yes' if use in ALLOWED[state] else 'no' for use in Use))
