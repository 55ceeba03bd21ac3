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

"""Extra specs of volume types."""

from unittest import mock

from cinder.volume.drivers import lightos as in_tree
import hypothesis
from hypothesis import strategies as st
from oslotest import base

from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import location
from cinder_lightbits_federation import spec
from tests.unit import properties

UUID = '4cb2e0bf-20fa-5720-8cc2-1a11fe3e9850'


def read(**specs):
    """Read specs given as ``lightos_key=value`` or ``compression=value``."""
    return spec.VolumeSpec.from_extra_specs(
        {key.replace('lightos_', 'lightos:', 1): value
         for key, value in specs.items()})


class ReadTest(base.BaseTestCase):

    def test_nothing_asked_for(self):
        found = spec.VolumeSpec.from_extra_specs({})
        self.assertEqual(spec.VolumeSpec(), found)
        self.assertIsNone(found.replicas)
        self.assertIsNone(found.compression)
        self.assertTrue(found.clusters.admits(UUID, 'east'))

    def test_everything_asked_for(self):
        found = spec.VolumeSpec.from_extra_specs({
            'compression': '<is> True', 'lightos:num_replicas': '1',
            'lightos:project_name': 'blue', 'lightos:qos_policy': 'gold',
            'lightos:cluster': 'east, !west,' + UUID.upper(),
            'lightos:failure_domain': 'rack1',
            'lightos:primary_failure_domain': 'rack2',
            'lightos:spread_group': 'db', 'lightos:sector_size': '512'})
        self.assertEqual(spec.VolumeSpec(
            replicas=1, compression=True, project='blue', qos_policy='gold',
            clusters=spec.ClusterPin(frozenset({'east', UUID}),
                                     frozenset({'west'})),
            failure_domain='rack1', primary_failure_domain='rack2',
            spread_group='db', sector_size=model.SectorSize.B512), found)
        self.assertEqual(
            (model.PlacementRestriction('FD', 'rack1'),
             model.PlacementRestriction('PrimaryFD', 'rack2')),
            found.restrictions())

    def test_keys_of_others_are_left_alone(self):
        self.assertEqual(spec.VolumeSpec(), spec.VolumeSpec.from_extra_specs(
            {'volume_backend_name': 'x', 'multiattach': '<is> True',
             'other:num_replicas': 'many', 'lightosx:y': 'z',
             'capabilities:compression': 'maybe'}))

    def test_a_misspelt_key_is_refused(self):
        for key in ('lightos:num_replica', 'lightos:', 'lightos:Cluster'):
            error = self.assertRaises(spec.InvalidSpec,
                                      spec.VolumeSpec.from_extra_specs,
                                      {key: '3'})
            self.assertEqual((key, '3'), (error.key, error.value))
            self.assertIn('lightos:num_replicas', str(error))
            self.assertIn('compression', str(error))

    def test_a_key_without_a_value_says_nothing(self):
        for entry in spec.SPEC_HELP:
            for value in (None, '', '  '):
                self.assertEqual(
                    spec.VolumeSpec(),
                    spec.VolumeSpec.from_extra_specs({entry.key: value}))

    def test_sector_sizes(self):
        for text, expected in (('512', model.SectorSize.B512),
                               ('512B', model.SectorSize.B512),
                               ('4096', model.SectorSize.B4096),
                               ('4k', model.SectorSize.B4096),
                               ('4K', model.SectorSize.B4096)):
            self.assertEqual(expected,
                             read(lightos_sector_size=text).sector_size)

    def test_policies_by_uuid_and_name(self):
        self.assertEqual(UUID,
                         read(lightos_qos_policy=UUID.upper()).qos_policy)
        self.assertEqual('Gold', read(lightos_qos_policy='Gold').qos_policy)
        for text, expected in ((UUID, True), (UUID.upper(), True),
                               (UUID.replace('-', ''), False),
                               (UUID + '0', False), ('gold', False),
                               ('{' + UUID + '}', False), ('', False)):
            self.assertEqual(expected, spec.is_uuid(text), text)

    def test_bad_values_name_the_key(self):
        for key, values in {
                'compression': ('yes', '<is>', '1', 'untrue'),
                'lightos:num_replicas': ('0', '4', 'two', '1.0', '-1', '+2',
                                         '\u0663'),
                'lightos:project_name': ('a b', '-a', 'a-', 'a/b', 'x' * 64,
                                         'a:b'),
                'lightos:qos_policy': ('a\nb', 'x' * 254),
                'lightos:cluster': ('east,', ',', '!', 'a b', 'east,!east',
                                    f'{UUID},!{UUID.upper()}', '!!east'),
                'lightos:failure_domain': ('rack 1', 'x' * 254),
                'lightos:primary_failure_domain': ('a,b',),
                'lightos:spread_group': ('a b', 'd\u00e9j\u00e0'),
                'lightos:sector_size': ('1024', '4KiB', '8K')}.items():
            for value in values:
                error = self.assertRaises(
                    spec.InvalidSpec, spec.VolumeSpec.from_extra_specs,
                    {key: value})
                self.assertEqual((key, value), (error.key, error.value))
                self.assertIn(key, str(error))


class ReplicasTest(base.BaseTestCase):

    def test_default_applies_when_nothing_is_asked_for(self):
        self.assertEqual(3, read().replica_count(3))
        self.assertEqual(2, read(lightos_num_replicas='2').replica_count(3))

    def test_failure_domains_need_a_single_replica(self):
        for key in ('lightos_failure_domain',
                    'lightos_primary_failure_domain'):
            found = read(**{key: 'rack1'})
            self.assertEqual(1, found.replica_count(1))
            error = self.assertRaises(spec.InvalidSpec,
                                      found.replica_count, 3)
            self.assertEqual(key.replace('_', ':', 1), error.key)
            self.assertIn('lightos:num_replicas=1', str(error))
            self.assertRaises(spec.InvalidSpec, read, **{
                key: 'rack1', 'lightos_num_replicas': '2'})


class ClusterPinTest(base.BaseTestCase):

    def test_by_name_or_uuid(self):
        for text, expected in (
                ('east', True), (UUID, True), (UUID.upper(), True),
                ('west', False), ('west,east', True), ('!east', False),
                ('!west', True), ('!' + UUID, False),
                # Excluded by one of its names, wanted by the other.
                ('east,!' + UUID, False), ('west,!north', False)):
            pin = read(lightos_cluster=text).clusters
            self.assertEqual(expected, pin.admits(UUID, 'east'), text)


class InTreeCompatibilityTest(base.BaseTestCase):
    """What the in-tree driver understands means the same here."""

    def test_compression(self):
        for text in ('True', 'true', 'TRUE', '<is> True', '<is> true',
                     'False', 'false', '<is> False', '<is> FALSE',
                     '<or> True <or> False'):
            theirs = in_tree.LightOSVolumeDriver._parse_extra_spec(
                None, text, 'neither')
            self.assertEqual(theirs, str(read(compression=text).compression))

    def test_keys(self):
        keys = (spec.NUM_REPLICAS, spec.PROJECT_NAME, spec.QOS_POLICY)
        volume = mock.Mock()
        volume.volume_type.extra_specs = {key: f'of {key}' for key in keys}
        _compression, *theirs = in_tree.LightOSVolumeDriver._get_volume_specs(
            mock.Mock(), volume)
        self.assertEqual([f'of {key}' for key in keys], theirs)


class HelpTest(base.BaseTestCase):

    def test_every_key_and_field_once(self):
        self.assertEqual(9, len(spec.SPEC_HELP))
        self.assertEqual(9, len({entry.key for entry in spec.SPEC_HELP}))
        self.assertEqual(set(spec.VolumeSpec.__slots__),
                         {entry.field for entry in spec.SPEC_HELP})

    def test_only_compression_is_for_cinder_to_publish(self):
        self.assertEqual(['compression'], [
            entry.key for entry in spec.SPEC_HELP if not entry.vendor])

    def test_allowed_values_are_allowed(self):
        for entry in spec.SPEC_HELP:
            self.assertIn(entry.type, ('boolean', 'integer', 'string'))
            for value in entry.allowed:
                self.assertIsNotNone(entry.parse(entry.key, value))
            if entry.minimum is not None:
                entry.parse(entry.key, str(entry.minimum))
                entry.parse(entry.key, str(entry.maximum))
                self.assertRaises(spec.InvalidSpec, entry.parse, entry.key,
                                  str(entry.maximum + 1))


class PropertyTest(base.BaseTestCase):

    @properties.PROPERTY
    @hypothesis.given(st.text(max_size=70) | st.from_regex(
        '[a-zA-Z0-9._-]{1,64}', fullmatch=True))
    def test_every_project_can_be_recorded(self, text):
        try:
            project = read(lightos_project_name=text).project
        except spec.InvalidSpec:
            return
        if project is not None:
            location.Location(cluster_uuid=UUID, name_id=UUID,
                              project=project)

    @properties.PROPERTY
    @hypothesis.given(
        st.sampled_from([entry.key for entry in spec.SPEC_HELP]),
        st.text(max_size=40))
    def test_any_value_is_read_or_refused(self, key, value):
        try:
            found = spec.VolumeSpec.from_extra_specs({key: value})
        except spec.InvalidSpec as error:
            self.assertEqual(key, error.key)
        else:
            self.assertEqual(not value.strip(), found == spec.VolumeSpec())
