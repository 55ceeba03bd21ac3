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

"""Labels and descriptions that say whose an object is."""

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from cinder_lightbits_federation import ownership
from tests.unit import properties

CLOUD = ownership.Owner('5d5e0ef0-6f7e-4f0a-9d0b-3f8a52f1c001')
OTHER = ownership.Owner('5d5e0ef0-6f7e-4f0a-9d0b-3f8a52f1c002')
RECORD = 'c6b1e0a4-7f0d-4d6c-8a43-0c9d4b1f2e77'
SECOND = 'c6b1e0a4-7f0d-4d6c-8a43-0c9d4b1f2e78'

OWNERS = st.builds(ownership.Owner, properties.UUIDS)
ATTEMPTS = st.from_regex('[0-9a-f]{12}', fullmatch=True)


class OwnerTest(base.BaseTestCase):

    def test_any_case_is_one_owner(self):
        self.assertEqual(
            CLOUD, ownership.Owner(CLOUD.federation_id.upper()))

    def test_a_bad_id_names_the_option(self):
        error = self.assertRaises(ownership.InvalidOwnership,
                                  ownership.Owner, 'my-cloud')
        self.assertIn('lightbits_federation_id', str(error))
        self.assertIn('my-cloud', str(error))


class LabelsTest(base.BaseTestCase):

    def test_keys_survive_the_array(self):
        labels = ownership.labels_for(CLOUD, RECORD, 'abc')
        self.assertEqual({'cinder_id': RECORD, 'cinder_attempt': 'abc',
                          'cinder_owner': CLOUD.federation_id}, labels)
        for key in labels:
            self.assertNotIn('-', key)
            self.assertNotIn('.', key)

    def test_values_that_are_no_labels_are_refused(self):
        for name_id, attempt in (('', 'a'), (RECORD, ''), ('a b', 'a'),
                                 (RECORD, 'a=b'), (RECORD, 'a' * 65),
                                 (RECORD, 'a\n')):
            self.assertRaises(ownership.InvalidOwnership,
                              ownership.labels_for, CLOUD, name_id, attempt)
            self.assertRaises(ownership.InvalidOwnership,
                              ownership.describe, CLOUD, name_id, attempt)

    def test_claims(self):
        ours = ownership.labels_for(CLOUD, RECORD, 'abc')
        ownerless = {ownership.LABEL_ID: RECORD}
        for labels, expected in (
                (ours, ownership.Claim.OURS),
                (ours | {'team': 'blue'}, ownership.Claim.OURS),
                (ownership.labels_for(CLOUD, SECOND, 'abc'),
                 ownership.Claim.OTHER_RECORD),
                ({ownership.LABEL_OWNER: CLOUD.federation_id},
                 ownership.Claim.OTHER_RECORD),
                (ownership.labels_for(OTHER, RECORD, 'abc'),
                 ownership.Claim.FOREIGN),
                (ownerless, ownership.Claim.FOREIGN),
                ({ownership.LABEL_ATTEMPT: 'abc'}, ownership.Claim.FOREIGN),
                ({}, ownership.Claim.UNLABELLED),
                ({'team': 'blue'}, ownership.Claim.UNLABELLED)):
            self.assertEqual(expected,
                             ownership.claim_of(labels, CLOUD, RECORD))

    def test_which_attempt(self):
        labels = ownership.labels_for(CLOUD, RECORD, 'abc')
        self.assertEqual('abc', ownership.attempt_of(labels))
        self.assertIsNone(ownership.attempt_of({}))
        self.assertIsNone(ownership.attempt_of(
            {ownership.LABEL_ATTEMPT: ''}))

    @properties.PROPERTY
    @hypothesis.given(OWNERS, OWNERS, properties.UUIDS, properties.UUIDS,
                      ATTEMPTS)
    def test_ours_is_owner_and_record(self, maker, owner, made_for, name_id,
                                      attempt):
        labels = ownership.labels_for(maker, made_for, attempt)
        claim = ownership.claim_of(labels, owner, name_id)
        self.assertEqual(maker == owner and made_for == name_id,
                         claim is ownership.Claim.OURS)
        self.assertEqual(maker != owner, claim is ownership.Claim.FOREIGN)
        self.assertEqual(
            ownership.Claim.OURS,
            ownership.claim_of(labels, maker, made_for))

    def test_attempts_differ(self):
        made = {ownership.new_attempt() for _count in range(500)}
        self.assertEqual(500, len(made))
        for attempt in made:
            self.assertRegex(attempt, '^[0-9a-f]{12}$')


class DescriptionTest(base.BaseTestCase):

    def test_known_text(self):
        self.assertEqual(
            f'lbf1 owner={CLOUD.federation_id} id={RECORD} attempt=abc',
            ownership.describe(CLOUD, RECORD, 'abc'))

    @properties.PROPERTY
    @hypothesis.given(OWNERS, properties.UUIDS, ATTEMPTS)
    def test_reads_as_the_labels(self, owner, name_id, attempt):
        text = ownership.describe(owner, name_id, attempt)
        self.assertLessEqual(len(text.encode()), ownership.MAX_DESCRIPTION)
        self.assertEqual(ownership.labels_for(owner, name_id, attempt),
                         ownership.read_description(text))

    def test_tenants(self):
        tenant = ownership.Tenant('a' * 64, 'b' * 64)
        text = ownership.describe(CLOUD, RECORD, 'abc', tenant)
        self.assertTrue(text.startswith('lbf2 '))
        self.assertLessEqual(len(text.encode()), ownership.MAX_DESCRIPTION)
        read = ownership.read_description(text)
        labels = ownership.labels_for(CLOUD, RECORD, 'abc', tenant)
        self.assertEqual('2', labels.pop('cinder_format'))
        self.assertEqual(labels, read)
        self.assertIs(ownership.Claim.OURS,
                      ownership.claim_of(read, CLOUD, RECORD))

    def test_tenants_that_do_not_fit_are_left_out(self):
        tenant = ownership.Tenant('', 'a user')
        self.assertEqual(
            {**ownership.labels_for(CLOUD, RECORD, 'abc'),
             'cinder_format': '2'},
            ownership.labels_for(CLOUD, RECORD, 'abc', tenant))

    @properties.PROPERTY
    @hypothesis.given(st.text(max_size=256))
    def test_text_of_others_says_nothing(self, text):
        hypothesis.assume(not text.startswith(('lbf1', 'lbf2')))
        self.assertEqual({}, ownership.read_description(text))

    @properties.PROPERTY
    @hypothesis.given(st.text(max_size=100))
    def test_never_raises(self, text):
        read = ownership.read_description('lbf1 ' + text)
        ownership.claim_of(read, CLOUD, RECORD)

    def test_odd_texts(self):
        text = ownership.describe(CLOUD, RECORD, 'abc')
        for odd in ('lbf3' + text[4:], text.replace('lbf1 ', 'lbf1'),
                    f'{text} id={SECOND}', text + ' owner=',
                    text.replace(RECORD, 'a\tb'), text + '\n'):
            self.assertEqual({}, ownership.read_description(odd), odd)
        self.assertEqual(
            ownership.labels_for(CLOUD, RECORD, 'abc'),
            ownership.read_description(text + ' note=later-versions'))

    def test_clone_snapshot_names_differ_by_attempt(self):
        self.assertEqual(f'for_clone_{RECORD}_abc',
                         ownership.clone_snapshot_name(RECORD, 'abc'))
