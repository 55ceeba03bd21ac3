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

"""Forms of output that cliff has for lists only."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, TextIO

from cliff.formatters import base
from cliff.formatters import commaseparated


class CsvOne(base.SingleFormatter):
    """One thing as a line of CSV below its header."""

    def __init__(self) -> None:
        self._lister = commaseparated.CSVLister()

    def add_argument_group(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of CSV, as lists have them."""
        self._lister.add_argument_group(parser)

    def emit_one(self, column_names: Sequence[str], data: Sequence[Any],
                 stdout: TextIO, parsed_args: argparse.Namespace) -> None:
        """Write it."""
        self._lister.emit_list(column_names, [data], stdout, parsed_args)
