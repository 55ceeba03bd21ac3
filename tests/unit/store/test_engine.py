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

import os
import pathlib
import stat

import fixtures
from oslotest import base
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects import postgresql
from sqlalchemy import schema

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.store import engine
from cinder_lightbits_federation.store.migrations.versions import m0001_first
from cinder_lightbits_federation.store import states
from cinder_lightbits_federation.store import tables
from tests.store import cases

SECRET = 'correct-horse'  # noqa: S105


class SqliteTestCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.url = f'sqlite:///{self.folder}/store.sqlite'


class SharedTestCase(cases.SharedCases, SqliteTestCase):
    """In a file."""


class JobsTestCase(cases.JobCases, SqliteTestCase):
    """In a file."""


class FileTestCase(SqliteTestCase):

    def test_others_cannot_read_it(self) -> None:
        store = engine.Store(engine.parse(self.url))
        self.addCleanup(store.close)
        states.States(store, cases.FEDERATION).all()
        mode = stat.S_IMODE(os.stat(self.folder / 'store.sqlite').st_mode)
        self.assertEqual(0o640, mode | 0o640)
        self.assertEqual(0, mode & 0o007)

    def test_migrations_make_what_the_code_expects(self) -> None:
        store = engine.Store(engine.parse(self.url))
        self.addCleanup(store.close)
        states.States(store, cases.FEDERATION).all()
        with store.transaction() as connection:
            made = sa.MetaData()
            made.reflect(connection)
        names = {name: {column.name: (bool(column.nullable),
                                      bool(column.primary_key))
                        for column in table.columns}
                 for name, table in made.tables.items()
                 if name != tables.VERSIONS}
        wanted = {name: {column.name: (bool(column.nullable),
                                       bool(column.primary_key))
                         for column in table.columns}
                  for name, table in tables.METADATA.tables.items()}
        self.assertEqual(wanted, names)

    def test_a_folder_that_is_not_there(self) -> None:
        store = engine.Store(engine.parse(
            f'sqlite:///{self.folder}/no/store.sqlite'))
        error = self.assertRaises(
            errors.StoreUnavailable,
            states.States(store, cases.FEDERATION).all)
        self.assertIn('no/store.sqlite', str(error))


class FormTestCase(base.BaseTestCase):

    def test_texts_are_long_where_that_has_to_be_said(self) -> None:
        for kind in (tables.TEXT, m0001_first.TEXT):
            self.assertEqual('TEXT(1048576)',
                             kind.compile(dialect=mysql.dialect()))

    def test_postgresql_knows_no_length_of_texts(self) -> None:
        dialect = postgresql.dialect()
        self.assertEqual('TEXT', m0001_first.TEXT.compile(dialect=dialect))
        for table in tables.METADATA.sorted_tables:
            made = str(schema.CreateTable(table).compile(dialect=dialect))
            self.assertNotIn('TEXT(', made)


class UrlTestCase(base.BaseTestCase):

    def test_the_password_is_never_told(self) -> None:
        url = engine.parse(
            f'mysql+pymysql://cinder:{SECRET}@127.0.0.1:1/lightbits')
        store = engine.Store(url)
        self.addCleanup(store.close)
        error = self.assertRaises(
            errors.StoreUnavailable,
            states.States(store, cases.FEDERATION).all)
        for text in (str(store), repr(url), str(error)):
            self.assertNotIn(SECRET, text)
        self.assertIn('127.0.0.1', str(error))

    def test_what_cannot_be_used(self) -> None:
        for text, why in (
                (f'cinder:{SECRET}', 'not a database URL'),
                (f'oracle://cinder:{SECRET}@h/d', 'oracle is not supported'),
                ('sqlite://', 'in memory')):
            error = self.assertRaises(ValueError, engine.parse, text)
            self.assertIn(why, str(error))
            self.assertNotIn(SECRET, str(error))

    def test_what_is_a_file(self) -> None:
        self.assertTrue(engine.is_file(engine.parse('sqlite:////a/b')))
        self.assertFalse(engine.is_file(
            engine.parse('postgresql://u@h/d')))
