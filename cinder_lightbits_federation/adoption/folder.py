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

"""The folder that keeps an adoption: its plan, and the rows around it.

``state.json`` says which way it goes and whether that has ended,
``plan.json`` has all changes, ``before.json`` and ``after.json`` the rows.
An earlier adoption in the same folder, which was taken back, is kept as
``plan.1.json`` and so on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import dataclasses
import json
import os
from typing import Any

from cinder_lightbits_federation.adoption.plan import Direction
from cinder_lightbits_federation.adoption.plan import images
from cinder_lightbits_federation.adoption.plan import Plan
from cinder_lightbits_federation import files

PLAN, STATE, BEFORE, AFTER = ('plan.json', 'state.json', 'before.json',
                              'after.json')


class UnusableFolder(Exception):
    """The folder cannot be used for what was asked; says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """How far an adoption is.

    :param finished: whether every change was made, or given up.
    """

    direction: Direction
    finished: bool


class Folder:
    """Keeps one adoption at a time.

    :raises UnusableFolder: from any method, if a file cannot be read or
        written.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)

    def state(self) -> State | None:
        """:returns: None where no adoption was begun."""
        data = self._read(STATE)
        if data is None:
            return None
        try:
            return State(Direction(data['direction']),
                         bool(data['finished']))
        except (KeyError, TypeError, ValueError) as exc:
            raise UnusableFolder(f'{self._path(STATE)} is of another form: '
                                 f'{exc}') from exc

    def plan(self) -> Plan:
        """:returns: the plan of the adoption that was begun."""
        data = self._read(PLAN)
        if data is None:
            raise UnusableFolder(f'no adoption was begun in {self.path}')
        try:
            return Plan.from_json(data)
        except (KeyError, TypeError, ValueError) as exc:
            raise UnusableFolder(f'{self._path(PLAN)} is of another form: '
                                 f'{exc}') from exc

    def begin(self, plan: Plan) -> None:
        """Keep a plan, before anything is changed."""
        self._set_aside()
        self._write(BEFORE, images(plan.changes, 'before'))
        self._write(PLAN, plan.to_json())
        self.note(State(Direction.FORWARD, False))

    def note(self, state: State) -> None:
        """Keep how far it is."""
        self._write(STATE, {'direction': state.direction.value,
                            'finished': state.finished})

    def keep_after(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep the rows as they are at the end."""
        self._write(AFTER, list(rows))

    def _set_aside(self) -> None:
        number = 1
        while os.path.exists(self._path(f'plan.{number}.json')):
            number += 1
        for name in (PLAN, BEFORE, AFTER):
            base = name.removesuffix('.json')
            if os.path.exists(self._path(name)):
                os.replace(self._path(name),
                           self._path(f'{base}.{number}.json'))

    def _path(self, name: str) -> str:
        return os.path.join(self.path, name)

    def _read(self, name: str) -> Any:
        try:
            with open(self._path(name), encoding='utf-8') as file:
                return json.load(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            raise UnusableFolder(f'{self._path(name)} cannot be read: {exc}'
                                 ) from exc

    def _write(self, name: str, data: Any) -> None:
        try:
            os.makedirs(self.path, 0o750, exist_ok=True)
            files.write_atomically(
                self._path(name), json.dumps(data, indent=1).encode() + b'\n',
                files.PRIVATE)
        except OSError as exc:
            raise UnusableFolder(f'{self._path(name)} cannot be written: '
                                 f'{exc.strerror}') from exc
