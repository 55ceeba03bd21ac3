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

"""Columns that people read in words and programs as numbers."""

from __future__ import annotations

from collections.abc import Sequence
import datetime
from typing import Any

from cliff import columns

from cinder_lightbits_federation.sizes import GIB

_UNITS = (('d', 86400), ('h', 3600), ('min', 60), ('s', 1))


class Age(columns.FormattableColumn[float | None]):
    """Seconds; in words the two largest units."""

    def human_readable(self) -> str:
        """:returns: such as ``3 d 4 h``, empty if not known."""
        if self._value is None:
            return ''
        left, words = int(self._value), []
        for unit, size in _UNITS:
            if left >= size:
                words.append(f'{left // size} {unit}')
                left %= size
        return ' '.join(words[:2]) or '0 s'

    def machine_readable(self) -> int | None:
        """:returns: whole seconds."""
        return None if self._value is None else int(self._value)


class Time(columns.FormattableColumn[Any]):
    """Seconds since the epoch; always in words, in UTC."""

    def human_readable(self) -> str:
        """:returns: such as ``2026-03-01T12:00:00Z``, empty if not known."""
        if self._value is None:
            return ''
        moment = datetime.datetime.fromtimestamp(self._value, datetime.UTC)
        return moment.strftime('%Y-%m-%dT%H:%M:%SZ')

    def machine_readable(self) -> str | None:
        """:returns: the same; None if not known."""
        return self.human_readable() or None


class Size(columns.FormattableColumn[int | None]):
    """Bytes; in words GiB."""

    def human_readable(self) -> str:
        """:returns: such as ``1.5 GiB``, empty if not known."""
        return '' if self._value is None else f'{self._value / GIB:.6g} GiB'

    def machine_readable(self) -> int | None:
        """:returns: bytes."""
        return self._value


class Ratio(columns.FormattableColumn[float | None]):
    """A share; in words per cent."""

    def human_readable(self) -> str:
        """:returns: such as ``12.3%``, empty if not known."""
        return '' if self._value is None else f'{self._value:.1%}'

    def machine_readable(self) -> float | None:
        """:returns: the share, 1.0 for all."""
        return None if self._value is None else round(self._value, 6)


class Names(columns.FormattableColumn[Sequence[str]]):
    """Several texts; in words a line for each."""

    def human_readable(self) -> str:
        """:returns: one per line."""
        return '\n'.join(self._value)

    def machine_readable(self) -> list[str]:
        """:returns: a list."""
        return list(self._value)
