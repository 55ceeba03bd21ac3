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

"""Files that somebody may read while a test writes them."""

from __future__ import annotations

import os
import pathlib


def replace(path: pathlib.Path, text: str, mode: int = 0o644) -> None:
    """Write a file, or another in its place, all at once.

    Whoever watches a file that is written in place may look after it was
    emptied. Until it is whole, the new one has a name that no folder of
    configuration files takes.

    :param mode: permissions of the file.
    """
    begun = path.with_name(f'{path.name}.new')
    begun.touch(mode=mode)
    begun.write_text(text, encoding='utf-8')
    os.replace(begun, path)
