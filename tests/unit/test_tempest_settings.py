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

"""Tempest and Cinder's plugin of it read what the DevStack plugin writes."""

from __future__ import annotations

import configparser

from cinder_tempest_plugin import config as plugin
from oslo_config import cfg
from tempest import config as tempest
import yaml

from tests.devstack_stand_in import stand_in
from tests.rules import source
from tests.unit import test_devstack

FEATURES = 'volume-feature-enabled'


def registered() -> cfg.ConfigOpts:
    """:returns: the options of both, with their defaults."""
    found = cfg.ConfigOpts()
    for group, options in (*tempest.list_opts(),
                           (FEATURES, plugin.cinder_option)):
        found.register_opts(options, group)
    return found


class TempestTestCase(test_devstack.PluginTestCase):

    def read(self, machine: stand_in.StandIn) -> cfg.ConfigOpts:
        """:returns: what Tempest reads; it knows every option of the file."""
        self.succeed(machine, 'stack')
        path = machine.folder / 'etc' / 'tempest.conf'
        found = registered()
        found([], default_config_files=[str(path)])
        parser = configparser.RawConfigParser()
        parser.read(path, encoding='utf-8')
        for section in parser.sections():
            for name in parser[section]:
                self.assertIn(name, found[section], section)
        return found

    def test_volumes_without_data(self) -> None:
        found = self.read(self.simulated('east'))
        self.assertFalse(found.service_available.nova)
        self.assertFalse(found.service_available.glance)
        features = found[FEATURES]
        self.assertFalse(features.backup)
        self.assertFalse(features.enable_volume_image_dep_tests)
        self.assertTrue(features.volume_revert)

    def test_volumes_with_data(self) -> None:
        found = self.read(self.real())
        self.assertTrue(found.service_available.nova)
        volume = found.volume
        self.assertEqual(('Lightbits', 'lightos'),
                         (volume.vendor_name, volume.storage_protocol))
        self.assertEqual(['source-name', 'volume-%s'],
                         volume.manage_volume_ref)
        self.assertEqual(['source-name', 'snapshot-%s'],
                         volume.manage_snapshot_ref)
        for name in ('manage_volume', 'manage_snapshot', 'volume_revert',
                     'extend_attached_volume', 'backup'):
            self.assertTrue(found[FEATURES][name], name)

    def test_jobs_set_options_that_exist(self) -> None:
        known = registered()
        text = (source.ROOT / '.zuul.yaml').read_text(encoding='utf-8')
        told = [item['job']['vars']['devstack_local_conf']['test-config'][
                    '$TEMPEST_CONFIG']
                for item in yaml.safe_load(text)
                if 'devstack_local_conf' in item.get('job', {}).get(
                    'vars', {})]
        self.assertNotEqual([], told)
        for sections in told:
            for section, values in sections.items():
                for name in values:
                    self.assertIn(name, known[section], section)
