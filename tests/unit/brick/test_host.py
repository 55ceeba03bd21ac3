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


"""What a host says of itself."""

from __future__ import annotations

import socket
from unittest import mock

import psutil

from os_brick_ext import host
from tests.unit.brick import base


class AddressesTest(base.BrickTestCase):

    def addresses(self, **interfaces: list[str]) -> list[str]:
        found = {
            name: [psutil._ntuples.snicaddr(
                socket.AF_INET6 if ':' in text else socket.AF_INET, text,
                None, None, None) for text in texts]
            + [psutil._ntuples.snicaddr(
                psutil.AF_LINK, '02:00:00:00:00:01', None, None, None)]
            for name, texts in interfaces.items()}
        with mock.patch('psutil.net_if_addrs', autospec=True,
                        return_value=found):
            return host.addresses()

    def test_both_families(self) -> None:
        self.assertEqual(
            ['192.0.2.1', '2001:db8::1', '198.51.100.7'],
            self.addresses(
                lo=['127.0.0.1', '::1'],
                eth0=['192.0.2.1', '2001:db8::1', 'fe80::1%eth0'],
                eth1=['198.51.100.7', '192.0.2.1']))

    def test_an_address_on_the_loopback_interface(self) -> None:
        self.assertEqual(
            ['203.0.113.5'],
            self.addresses(lo=['127.0.0.1', '203.0.113.5', '::1']))

    def test_what_is_no_address(self) -> None:
        self.assertEqual(
            ['192.0.2.1'],
            self.addresses(tun0=['', 'none'], eth0=['192.0.2.1']))

    def test_this_machine(self) -> None:
        self.assertNotIn('127.0.0.1', host.addresses())
