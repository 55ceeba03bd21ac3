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

"""Writes plots so that the same figures make the same file."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import io
import pathlib

import matplotlib
from matplotlib import figure

_STYLE = {'svg.fonttype': 'none', 'path.simplify_threshold': 1.0}


@contextlib.contextmanager
def drawn(path: pathlib.Path, salt: str) -> Iterator[figure.Figure]:
    """A page to draw on, written as SVG at the end.

    :param salt: makes the ids inside unlike those of other plots.
    """
    with matplotlib.rc_context({**_STYLE, 'svg.hashsalt': salt}):
        page = figure.Figure(figsize=(8, 3.4), layout='constrained')
        yield page
        text = io.StringIO()
        page.savefig(text, format='svg', metadata={'Date': None})
    path.write_text(''.join(
        f'{line.rstrip()}\n' for line in text.getvalue().splitlines()))
