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

"""A database that takes connections and never says anything."""

from __future__ import annotations

from concurrent import futures
import socket
import threading
import time
from typing import Any
from unittest import mock

from oslotest import base
import sqlalchemy as sa

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.store import engine
from cinder_lightbits_federation.store import patience
from cinder_lightbits_federation.store import states
from tests.store import cases
from tests.unit.driver import base as driver_base

# Fewer seconds than the service waits, so that tests are quick.
SHORT = 1
# Far below the two turns of a second that one after the other would take.
TURNS = 6


class Silence:
    """A server that its kernel answers for, and nobody else."""

    def __init__(self, case: Any) -> None:
        self._socket = socket.create_server(('127.0.0.1', 0), backlog=50)
        case.addCleanup(self.close)
        self.url = (f'mysql+pymysql://cinder:secret@127.0.0.1:'
                    f'{self._socket.getsockname()[1]}/lightbits')

    def close(self) -> None:
        """Say nothing, for good."""
        self._socket.close()


class SilentTestCase(base.BaseTestCase):

    def store(self, **query: str) -> engine.Store:
        url = engine.parse(Silence(self).url)
        made = engine.Store(url.update_query_dict(query))
        self.addCleanup(made.close)
        return made

    def refused(self, store: engine.Store) -> errors.StoreUnavailable:
        found = self.assertRaises(errors.StoreUnavailable,
                                  states.States(store, cases.FEDERATION).all)
        assert isinstance(found, errors.StoreUnavailable)
        return found

    def test_it_is_not_waited_for_without_end(self) -> None:
        with mock.patch.object(patience, 'WORK', SHORT):
            error = self.refused(self.store())
        self.assertIn('timed out', str(error))

    def test_the_url_may_say_how_long(self) -> None:
        begun = time.monotonic()
        error = self.refused(self.store(read_timeout=str(SHORT)))
        self.assertIn('timed out', str(error))
        self.assertLess(time.monotonic() - begun, patience.WORK)

    def test_threads_wait_together(self) -> None:
        store = self.store()
        asked = threading.Barrier(TURNS)

        def ask(_number: int) -> str:
            asked.wait()
            return str(self.refused(store))

        begun = time.monotonic()
        with mock.patch.object(patience, 'WORK', SHORT), \
                futures.ThreadPoolExecutor(TURNS) as pool:
            told = set(pool.map(ask, range(TURNS)))
        self.assertEqual(1, len(told), told)
        self.assertLess(time.monotonic() - begun, TURNS * SHORT)

    def test_it_is_tried_again(self) -> None:
        store = self.store()
        with mock.patch.object(patience, 'WORK', SHORT):
            first = self.refused(store)
            begun = time.monotonic()
            second = self.refused(store)
        self.assertIsNot(first, second)
        self.assertGreaterEqual(time.monotonic() - begun, SHORT * 0.9)


class OptionsTestCase(base.BaseTestCase):

    def args(self, url: str, seconds: int = patience.WORK) -> Any:
        return patience.connect_args(engine.parse(url), seconds)

    def test_mysql(self) -> None:
        for scheme in ('mysql+pymysql', 'mysql+mysqldb', 'mysql',
                       'mariadb+pymysql'):
            self.assertEqual(
                {'connect_timeout': 10, 'read_timeout': 10,
                 'write_timeout': 10}, self.args(f'{scheme}://u@h/d'))

    def test_postgresql(self) -> None:
        for scheme in ('postgresql+psycopg2', 'postgresql+psycopg',
                       'postgresql'):
            found = self.args(f'{scheme}://u@h/d')
            self.assertEqual((10, 10_000), (found['connect_timeout'],
                                            found['tcp_user_timeout']))

    def test_migrations_have_longer_but_connections_do_not(self) -> None:
        self.assertEqual(
            {'connect_timeout': 10, 'read_timeout': 75, 'write_timeout': 75},
            self.args('mysql+pymysql://u@h/d', patience.MIGRATION))
        self.assertGreater(patience.MIGRATION, engine.MIGRATION_LIMIT)

    def test_the_url_wins(self) -> None:
        self.assertEqual(
            {'connect_timeout': 10, 'write_timeout': 10},
            self.args('mysql+pymysql://u@h/d?read_timeout=40'))

    def test_other_drivers_are_left_alone(self) -> None:
        self.assertEqual({}, self.args('mysql+mysqlconnector://u@h/d'))

    def test_statements_of_postgresql_end(self) -> None:
        for url, wanted in (
                ('postgresql://u@h/d', ['SET LOCAL statement_timeout = 7000']),
                ('postgresql://u@h/d?options=-c%20statement_timeout%3D9', []),
                ('mysql+pymysql://u@h/d', [])):
            here = sa.create_engine('sqlite://')
            self.addCleanup(here.dispose)
            with mock.patch.object(sa.Connection, 'exec_driver_sql',
                                   autospec=True) as said:
                patience.bound_statements(here, engine.parse(url), 7)
                with here.begin():
                    pass
            self.assertEqual(wanted, [call.args[1]
                                      for call in said.call_args_list])


class DeleteTestCase(driver_base.FederationTestCase):

    CLUSTERS = ('east',)
    NODES = 1

    def test_a_volume_is_deleted_and_settings_are_read(self) -> None:
        drv = self.start_driver(lightbits_poll_interval=1)
        volume = self.made(drv)
        store = drv._service.shared._store
        store.close()
        with mock.patch.object(patience, 'WORK', SHORT), mock.patch.object(
                store, '_url', engine.parse(Silence(self).url)):
            drv.delete_volume(volume)
            self.assertEqual([], self.everywhere(volume.name))
            self.write_config(
                {'east': self.section('east', admin_state='disabled')},
                lightbits_poll_interval=1)
            self.wait(lambda: [
                True for cluster in drv.federation.registry.clusters
                if cluster.admin_state.value == 'disabled'] or None)
