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

"""Nodes that do not answer: some have left, and some will return."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import time
from typing import Any
from unittest import mock

from oslotest import base as test_base

from os_brick_ext import absences
from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import native
from os_brick_ext import sysfs
from os_brick_ext import timing
from tests.unit.brick import base


class DepartedTest(base.NativeTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.connect()
        address = self.fake.nodes[0]
        self.first = next(
            found.name for found in sysfs.Sysfs(
                str(self.kernel.sys)).controllers(self.nqn)
            if found.endpoint == address)

    def without_first_node(self) -> dict[str, Any]:
        """:returns: what hosts are told when the first node has left."""
        known = conn_props.ConnectionProperties.from_dict(self.data)
        return dataclasses.replace(
            known, nvme_endpoints=known.nvme_endpoints[1:]).to_dict()

    def attach(self, later: float = 0.0, **changes: Any) -> None:
        """Attach a volume, told that the first node has left.

        :param later: seconds by which the clock has gone on.
        """
        now = time.monotonic
        with mock.patch.object(absences.time, 'monotonic', autospec=True,
                               side_effect=lambda: now() + later):
            self.connector(**changes).connect_volume(
                self.without_first_node())

    def check_kept(self) -> None:
        self.assertIn(self.first, self.kernel.controllers(self.nqn))

    def test_nodes_that_have_left_are_forgotten(self) -> None:
        self.kernel.set_state(self.first, 'connecting')
        self.attach()
        self.check_kept()
        self.attach(native.FORGET_AFTER - 60)
        self.check_kept()
        self.attach(native.FORGET_AFTER + 60)
        self.assertEqual(2, self.connected())
        self.assertNotIn(self.first, self.kernel.controllers(self.nqn))

    def test_a_node_that_was_named_meanwhile(self) -> None:
        """Whoever does not name it was told long ago."""
        self.kernel.set_state(self.first, 'connecting')
        self.attach()
        self.connect()
        self.attach(native.FORGET_AFTER + 60)
        self.check_kept()

    def test_a_node_that_worked_meanwhile(self) -> None:
        self.kernel.set_state(self.first, 'connecting')
        self.attach()
        self.kernel.set_state(self.first, 'live')
        self.attach(60)
        self.kernel.set_state(self.first, 'connecting')
        self.attach(native.FORGET_AFTER + 60)
        self.check_kept()

    def test_a_node_that_is_starting_and_asked_for_by_discovery(
            self) -> None:
        """Discovery services name only those that serve."""
        self.kernel.set_state(self.first, 'connecting')
        service = conn_props.DiscoveryNode.at(self.listener().endpoint)
        gone = self.fake.nodes.pop(0)
        for endpoints in ((), (gone, '127.0.0.1:1')):
            with self.subTest(endpoints=endpoints):
                self.connector().connect_volume(self.properties(
                    1, self.nqn, nodes=(service,),
                    nvme_endpoints=endpoints))
                self.check_kept()
        self.assertEqual(2, len(self.calls('discover')))

    def test_connections_that_work_are_kept_whatever_is_known(self) -> None:
        self.attach()
        self.attach(native.FORGET_AFTER + 60)
        self.assertEqual(3, self.connected())

    def test_all_are_kept_while_none_that_is_known_works(self) -> None:
        for name in self.kernel.controllers(self.nqn):
            self.kernel.set_state(name, 'connecting')
        self.kernel.set_state(self.first, 'connecting')
        for later in (0.0, native.FORGET_AFTER + 60):
            with contextlib.suppress(errors.NotVisible):
                self.attach(later, connect_timeout=0.1)
        self.assertEqual(3, self.connected())

    def test_somebody_else_works_on_the_cluster(self) -> None:
        """The volume is attached, and another one forgets the node."""
        self.kernel.set_state(self.first, 'connecting')
        self.attach()
        way = self.connector()._way
        with way._locked(self.nqn, timing.Deadline.after(1), shared=True), \
                mock.patch.object(native, 'FORGET_PATIENCE', 0.1):
            self.attach(native.FORGET_AFTER + 60)
        self.check_kept()

    def test_a_controller_that_cannot_be_ended(self) -> None:
        self.kernel.set_state(self.first, 'connecting')
        self.attach()
        with mock.patch.object(self.kernel, 'delete_controller',
                               autospec=True,
                               side_effect=OSError(errno.ETIMEDOUT, 'slow')):
            self.attach(native.FORGET_AFTER + 60)
        self.check_kept()


class AbsencesTest(test_base.BaseTestCase):

    def test_each_place_has_its_own(self) -> None:
        missing: absences.Absences[str] = absences.Absences()
        self.assertEqual(['a'], missing.lasting(1, ['a'], 0.0))
        self.assertEqual([], missing.lasting(1, ['a'], 60.0))
        self.assertEqual([], missing.lasting(2, ['a'], 60.0))

    def test_nothing_is_kept_of_what_is_there(self) -> None:
        missing: absences.Absences[str] = absences.Absences()
        missing.lasting(1, ['a'], 60.0)
        missing.lasting(1, [], 60.0)
        self.assertEqual({}, missing._since)
