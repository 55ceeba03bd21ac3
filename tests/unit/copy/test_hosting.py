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

"""Attaching by os-brick, and the daemon that has the rights."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any
import uuid as uuidlib

from cinder.common import constants
from cinder.volume import volume_utils
import fixtures
from os_brick import exception as brick_exception
from os_brick import initiator
from os_brick.initiator import connector as brick_connector
from os_brick.initiator.connectors import lightos
from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_config import fixture as config_fixture
from oslo_privsep import daemon
from oslo_privsep import priv_context
from oslotest import base as test_base

from cinder_lightbits_federation.attachments import Attachment
from cinder_lightbits_federation.copy.devices import Device
from cinder_lightbits_federation.copy.devices import PrivilegedMover
from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation.copy import privileged
from cinder_lightbits_federation.hosting import HostAttacher
from os_brick_ext.connector import LightbitsConnector
from os_brick_ext import register
from tests.unit.driver import base


class FakeConnector:
    """Records what os-brick's would be asked for."""

    calls: list[tuple[str, str]] = []
    failing = ''

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Takes what os-brick's factory gives."""

    def connect_volume(self, properties: dict[str, Any]) -> dict[str, str]:
        """Attach."""
        return self._done('connect', properties)

    def disconnect_volume(self, properties: dict[str, Any],
                          device: dict[str, str]) -> None:
        """Detach."""
        self._done('disconnect', properties)

    def _done(self, what: str, properties: dict[str, Any]) -> dict[str, str]:
        self.calls.append((what, properties['uuid']))
        if what == self.failing:
            raise brick_exception.BrickException('no path')
        return {'type': 'block', 'path': f'/dev/{properties["uuid"]}'}


class ConnectorTest(base.FederationTestCase):
    """Which connector os-brick builds in the process of a backend."""

    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(register.unregister)

    def built(self, **backend: Any) -> type:
        """:returns: the class that serves a driver with these options."""
        self.start_driver(**backend)
        return type(volume_utils.brick_get_connector(
            constants.LIGHTOS, use_multipath=True, device_scan_attempts=3,
            conn={'driver_volume_type': constants.LIGHTOS, 'data': {}}))

    def test_that_of_os_brick(self) -> None:
        self.assertIs(lightos.LightOSConnector, self.built())

    def test_that_of_this_project(self) -> None:
        for _time in range(2):
            self.assertIs(LightbitsConnector,
                          self.built(lightbits_use_os_brick_ext=True))

    def test_what_others_have_chosen_is_kept(self) -> None:
        register.register()
        self.assertIs(LightbitsConnector, self.built())


class AttacherTest(base.FederationTestCase):

    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.drv = self.start_driver()
        self.useFixture(fixtures.MonkeyPatch(
            f'{brick_connector.__name__}._connector_mapping_linux',
            {initiator.LIGHTOS: f'{__name__}.FakeConnector'}))
        FakeConnector.calls = []
        self.useFixture(fixtures.MonkeyPatch(
            f'{__name__}.FakeConnector.failing', ''))
        self.attacher = HostAttacher(self.drv.configuration, lambda: ())
        cluster, = self.wait(lambda: [
            item for item in self.drv.federation.registry.clusters
            if item.vitals] or None)
        assert cluster.vitals is not None
        self.attachment = Attachment(str(uuidlib.uuid4()),
                                     cluster.vitals.info, 'east')

    def test_attached_for_a_while(self) -> None:
        uuid = self.attachment.volume_uuid
        with self.attacher.connected(self.attachment) as device:
            self.assertEqual((f'/dev/{uuid}', uuid),
                             (device.path, device.uuid))
            self.assertEqual([('connect', uuid)], FakeConnector.calls)
        self.assertEqual([('connect', uuid), ('disconnect', uuid)],
                         FakeConnector.calls)

    def test_detached_after_an_error(self) -> None:
        def use() -> None:
            with self.attacher.connected(self.attachment):
                raise OSError(5, 'a path is gone')

        self.assertRaises(OSError, use)
        self.assertEqual(2, len(FakeConnector.calls))

    def test_why_the_body_ended_is_what_is_told(self) -> None:
        def use() -> None:
            with self.attacher.connected(self.attachment):
                raise errors.Lost('another host has it')

        FakeConnector.failing = 'disconnect'
        self.assertRaises(errors.Lost, use)
        self.assertEqual(2, len(FakeConnector.calls))

    def test_its_errors_are_told(self) -> None:
        def use() -> None:
            with self.attacher.connected(self.attachment):
                pass

        for what, told in (('connect', 'cannot be attached'),
                           ('disconnect', 'cannot be detached')):
            FakeConnector.failing = what
            self.assertRaisesRegex(errors.Interrupted, told, use)

    def test_who_is_admitted(self) -> None:
        self.mock_object(volume_utils, 'brick_get_connector_properties',
                         return_value=base.connector(7))
        found = self.attacher.host()
        self.assertEqual((base.nqn(7), frozenset({'192.0.2.7'})),
                         (found.nqn, frozenset(found.addresses)))

    def test_a_helper_that_does_not_start(self) -> None:
        for exc in (daemon.FailedToDropPrivileges('no sudo'),
                    processutils.ProcessExecutionError('no sudo')):
            self.mock_object(volume_utils, 'brick_get_connector_properties',
                             side_effect=exc)
            self.assertRaisesRegex(errors.Interrupted, 'no sudo',
                                   self.attacher.host)


class NoHelperTest(test_base.BaseTestCase):
    """A service that is not allowed to start the daemon."""

    def test_it_is_told(self) -> None:
        self.useFixture(config_fixture.Config(cfg.CONF)).config(
            helper_command='/bin/false', group='privsep_lightbits_copy')
        self.addCleanup(privileged.default.stop)
        mover = PrivilegedMover()
        device = Device('/dev/nvme987654n1', str(uuidlib.uuid4()))
        for ask in (lambda: mover.copy(device, device, [], True),
                    lambda: mover.differing(device, device, [])):
            self.assertRaisesRegex(errors.Interrupted, 'helper', ask)


class DaemonTest(test_base.BaseTestCase):
    """The daemon as a service starts it, in a process of its own."""

    def setUp(self) -> None:
        super().setUp()
        if os.geteuid():
            self.skipTest('only root may start it')
        helper = shlex.join([
            sys.executable, '-c',
            'from oslo_privsep import daemon; daemon.helper_main()'])
        self.useFixture(config_fixture.Config(cfg.CONF)).config(
            helper_command=helper, group='privsep_lightbits_copy')
        privileged.default.start(priv_context.Method.ROOTWRAP)
        self.addCleanup(privileged.default.stop)

    def test_it_answers_and_checks(self) -> None:
        volume = ('nvme987654n1', str(uuidlib.uuid4()))
        self.assertRaises(FileNotFoundError, privileged.copy, volume, volume,
                          [(0, 4096)], True)
        self.assertRaisesRegex(ValueError, 'not a namespace',
                               privileged.differing, ('sda', ''), volume, [])
