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

"""The rootwrap filters in etc/ let the privsep daemons start."""

from __future__ import annotations

import configparser

from oslo_rootwrap import filters
from oslotest import base

from cinder_lightbits_federation.copy import privileged as copying
from os_brick_ext import privileged as connecting
from tests.rules import source

# By file: the filter's name, and the context whose daemon it is for.
FILTERS = {
    'cinder-lightbits-copy.filters': (
        'privsep-lightbits-copy', copying.default.pypath),
    'os-brick-ext.filters': (
        'privsep-os-brick-ext', connecting.default.pypath)}


class RootwrapTest(base.BaseTestCase):

    def permitted(self, file: str, context: str) -> bool:
        """Whether a daemon for a context may start by a file's filter."""
        parser = configparser.RawConfigParser()
        parser.read(source.ROOT / 'etc' / file)
        kind, *words = [word.strip() for word in parser.get(
            'Filters', FILTERS[file][0]).split(',')]
        self.assertEqual('RegExpFilter', kind)
        return bool(filters.RegExpFilter(*words).match([
            'privsep-helper', '--config-file', '/etc/cinder/cinder.conf',
            '--privsep_context', context,
            '--privsep_sock_path', '/tmp/x/privsep.sock']))  # noqa: S108

    def test_every_file_is_known(self) -> None:
        self.assertEqual(
            set(FILTERS),
            {path.name for path in (source.ROOT / 'etc').glob('*.filters')})

    def test_the_filter_lets_the_daemon_start(self) -> None:
        for file, (_name, context) in FILTERS.items():
            self.assertTrue(self.permitted(file, context), file)

    def test_no_other_daemon(self) -> None:
        for file in FILTERS:
            for context in ('os_brick.privileged.default',
                            'os_brick_ext.privileged_default'):
                self.assertFalse(self.permitted(file, context), file)
