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

"""What os-brick and its callers pass fits the connector."""

from __future__ import annotations

from collections.abc import Iterator
import inspect
from typing import Any

from os_brick.initiator.connectors import base as brick_base
from os_brick.initiator.connectors import lightos
from os_brick.initiator import initiator_connector
from oslotest import base

from os_brick_ext import connector

VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def overridden(theirs: type) -> Iterator[str]:
    """Names of public methods of a class that this project replaces."""
    ours = vars(connector.LightbitsConnector)
    for name, _member in inspect.getmembers(theirs, inspect.isfunction):
        if name in ours and not name.startswith('_'):
            yield name


def named(owner: type, name: str) -> dict[str, Any]:
    """:returns: the parameters of a method that have a name."""
    found = inspect.signature(getattr(owner, name)).parameters
    return {key: one for key, one in found.items()
            if one.kind not in VARIADIC}


class SignatureTest(base.BaseTestCase):
    """Against the base classes and the connector that it stands in for."""

    CLASSES = (initiator_connector.InitiatorConnector,
               brick_base.BaseLinuxConnector, lightos.LightOSConnector)

    def test_methods_take_what_theirs_take(self) -> None:
        for theirs in self.CLASSES:
            names = list(overridden(theirs))
            self.assertIn('connect_volume', names)
            for name in names:
                self.assert_fits(theirs, name)

    def assert_fits(self, theirs: type, name: str) -> None:
        """Our method can be called in every way that theirs can be."""
        told = f'{theirs.__name__}.{name}'
        wanted = named(theirs, name)
        given = named(connector.LightbitsConnector, name)
        self.assertEqual(list(wanted), list(given)[:len(wanted)], told)
        for key, mine in given.items():
            one = wanted.get(key)
            if one is None:
                self.assertIsNot(mine.empty, mine.default, f'{told} {key}')
                continue
            self.assertEqual(one.kind, mine.kind, f'{told} {key}')
            if one.default is not one.empty:
                self.assertEqual(one.default, mine.default, f'{told} {key}')

    def test_it_is_made_with_what_the_factory_passes(self) -> None:
        made = inspect.signature(connector.LightbitsConnector)

        made.bind(root_helper='sudo', driver=None, execute=None,
                  use_multipath=False, device_scan_attempts=3, conn='x')

    def test_all_that_a_connector_must_have_is_there(self) -> None:
        self.assertEqual(frozenset(),
                         connector.LightbitsConnector.__abstractmethods__)
