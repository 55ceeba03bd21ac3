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

"""The text in provider_location."""

import dataclasses

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from cinder_lightbits_federation import location
from tests.unit import properties

CLUSTER = '4cb2e0bf-20fa-5720-8cc2-1a11fe3e9850'
RECORD = 'c6b1e0a4-7f0d-4d6c-8a43-0c9d4b1f2e77'
OBJECT = '0b6a7d52-91c4-4a6b-8a55-d2b0a1c30009'
TEXT = f'lbf1:{CLUSTER}:{RECORD}:{OBJECT}:a1:default'

LOCATIONS = st.builds(
    location.Location, cluster_uuid=properties.UUIDS,
    name_id=properties.UUIDS,
    project=st.from_regex('[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?',
                          fullmatch=True),
    object_uuid=st.none() | properties.UUIDS,
    attempt=st.none() | st.from_regex('[a-z0-9]{1,32}', fullmatch=True))


class LocationTest(base.BaseTestCase):

    def test_known_text(self):
        found = location.Location.parse(TEXT)
        self.assertEqual(CLUSTER, found.cluster_uuid)
        self.assertEqual(RECORD, found.name_id)
        self.assertEqual(OBJECT, found.object_uuid)
        self.assertEqual('a1', found.attempt)
        self.assertEqual('default', found.project)
        self.assertEqual(TEXT, str(found))

    @properties.PROPERTY
    @hypothesis.given(LOCATIONS)
    def test_round_trip(self, place):
        text = str(place)
        self.assertEqual(place, location.Location.parse(text))
        self.assertLessEqual(len(text), 255)
        # What an SQL LIKE finds the volumes of a cluster by.
        self.assertTrue(text.startswith(f'lbf1:{place.cluster_uuid}:'))

    def test_in_other_words(self):
        place = location.Location.parse(TEXT)
        first = place.reworded('0123456789ab')
        second = first.reworded('ba9876543210')
        texts = {str(item) for item in (place, first, second)}
        self.assertEqual(3, len(texts))
        for item in (first, second):
            self.assertEqual(place, dataclasses.replace(item, attempt='a1'))
            self.assertEqual(item, location.Location.parse(str(item)))
            self.assertEqual('a1', item.maker)

    def test_in_other_words_of_no_attempt(self):
        for attempt in (None, 'f' * 32):
            place = dataclasses.replace(location.Location.parse(TEXT),
                                        attempt=attempt)
            again = place.reworded('0123456789ab')
            self.assertEqual(attempt and attempt[:19], again.maker)
            self.assertEqual(again, location.Location.parse(str(again)))

    @properties.PROPERTY
    @hypothesis.given(LOCATIONS, properties.UUIDS)
    def test_completing_keeps_the_rest(self, place, object_uuid):
        done = place.completed(object_uuid)
        self.assertFalse(done.written_ahead)
        self.assertEqual(place.object_uuid is None, place.written_ahead)
        self.assertEqual(
            (place.cluster_uuid, place.name_id, place.project,
             place.attempt, object_uuid),
            (done.cluster_uuid, done.name_id, done.project, done.attempt,
             done.object_uuid))

    @properties.PROPERTY
    @hypothesis.given(LOCATIONS, properties.UUIDS)
    def test_only_its_own_record_reads_it(self, place, other):
        text = str(place)
        self.assertEqual(place, location.recorded_for(text, place.name_id))
        if other != place.name_id:
            self.assertIsNone(location.recorded_for(text, other))

    @properties.PROPERTY
    @hypothesis.given(st.text(max_size=300))
    def test_any_text_is_read_or_refused(self, text):
        try:
            found = location.Location.parse(text)
        except location.InvalidLocation:
            self.assertIsNone(location.recorded_for(text, RECORD))
        else:
            self.assertEqual(text, str(found))

    @properties.PROPERTY
    @hypothesis.given(LOCATIONS, st.data())
    def test_a_cut_text_is_never_another_location(self, place, data):
        text = str(place)
        # The last part is a name of any length; all before it is fixed.
        fixed = len(text) - len(place.project)
        cut = data.draw(st.integers(min_value=0, max_value=fixed))
        self.assertRaises(location.InvalidLocation,
                          location.Location.parse, text[:cut])

    def test_bad_texts(self):
        for text in (
                '', 'lbf1', TEXT + ':', TEXT.replace('lbf1', 'lbf2'),
                TEXT.replace(CLUSTER, CLUSTER.upper()),
                TEXT.replace(CLUSTER, CLUSTER.replace('-', '')),
                TEXT.replace(RECORD, '-'), TEXT.replace('a1', 'A1'),
                TEXT.replace('a1', ''), TEXT.replace('default', ''),
                TEXT.replace('default', 'x' * 64),
                TEXT.replace('default', '-x'), TEXT + '\n',
                TEXT.replace('a1', 'a' * 33), ' ' + TEXT,
                # What the in-tree driver keeps elsewhere.
                f'default {OBJECT}'):
            self.assertRaises(location.InvalidLocation,
                              location.Location.parse, text)
            self.assertIsNone(location.recorded_for(text, RECORD))

    def test_no_text_is_no_location(self):
        self.assertIsNone(location.recorded_for(None, RECORD))
        self.assertIsNone(location.recorded_for('', RECORD))

    def test_the_longest_fits_the_column(self):
        longest = location.Location(
            cluster_uuid=CLUSTER, name_id=RECORD, object_uuid=OBJECT,
            attempt='a' * 32, project='p' * 63)
        self.assertLessEqual(len(str(longest)), location.MAX_LENGTH)
