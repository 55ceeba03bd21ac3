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

"""The control API and the process behind it."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap

from tests.simulator import control
from tests.unit.simulator import base

_ROOT = pathlib.Path(__file__).parents[3]


class ControlTestCase(base.SimulatorTestCase):
    def refused(
        self, status: int, text: str, name: str, **options: object
    ) -> None:
        error = self.assertRaises(
            control.SimulatorError,
            self.simulator.add_cluster,
            name,
            **options,
        )
        self.assertEqual(status, error.status)
        self.assertIn(text, str(error))

    def test_bad_clusters_are_refused_clearly(self) -> None:
        taken = self.make_cluster(1)
        for options, text in (
            ({'nodes': 0}, 'nodes'),
            ({'nodes': 17}, 'nodes'),
            ({'cert': 'none'}, 'cert'),
            ({'node_count': 3}, 'node_count'),
            ({'capacity': 'big'}, 'capacity'),
            ({'capacity': 0}, 'capacity'),
            ({'projects': ['Upper']}, 'Upper'),
            ({'switches': {'odd': 1}}, 'odd'),
            ({'delays': {'create': -1}}, 'create'),
            ({'delays': {'sleep': 1}}, 'sleep'),
            ({'failure_domains': ['one']}, 'failure_domains'),
            ({'data_plane': 'kernel'}, 'data_plane'),
            ({'uuid': 'x'}, 'UUID'),
            ({'listen': '192.0.2.1'}, 'cannot bind'),
        ):
            self.refused(400, text, 'bad', **options)
        self.refused(409, taken.name, taken.name)
        self.refused(400, 'name', 'no/name')

    def test_a_removed_cluster_is_gone(self) -> None:
        cluster = self.simulator.add_cluster('gone', 1)
        cluster.remove()
        self.assertRaises(
            ConnectionRefusedError,
            cluster.request,
            'GET',
            '/api/v2/version',
            token='x',
        )
        error = self.assertRaises(control.SimulatorError, cluster.state)
        self.assertEqual(404, error.status)
        for path in (*cluster.token_files.values(), cluster.private_key_file):
            self.assertFalse(os.path.exists(path))
        left = os.listdir(self.simulator.state_dir)
        self.assertEqual([], [name for name in left if 'gone' in name])

    def test_calls_may_overlap(self) -> None:
        cluster = self.make_cluster(4)

        def flap() -> None:
            for _ in range(5):
                cluster.stop()
                cluster.start()

        with concurrent.futures.ThreadPoolExecutor() as pool:
            for future in [pool.submit(flap) for _ in range(4)]:
                future.result()
        for node in range(4):
            self.call(cluster, 'GET', '/api/v2/version', node=node)

    def test_clusters_are_independent(self) -> None:
        one, two = self.make_cluster(1), self.make_cluster(1)
        self.create(one)
        self.assertEqual([], two.state()['volumes'])
        self.assertNotEqual(one.uuid, two.uuid)
        self.assertNotEqual(one.nqn, two.nqn)
        self.assertFalse(set(one.data_endpoints) & set(two.data_endpoints))
        one.stop()
        self.call(two, 'GET', '/api/v2/version')

    def test_options_are_honoured(self) -> None:
        cluster = self.make_cluster(
            1,
            uuid=base.UNKNOWN,
            version='3.12.4~b1',
            projects=['one', 'two'],
            data_addresses=['10.0.0.1'],
            delays={'create': [5, 6]},
            switches={'first_etag': 1},
        )
        self.assertEqual(base.UNKNOWN, cluster.uuid)
        self.assertEqual(('10.0.0.1:4420',), cluster.data_endpoints)
        self.assertEqual({'system', 'one', 'two'}, set(cluster.token_files))
        body = {
            'name': 'v',
            'size': '1',
            'replicaCount': 1,
            'acl': base.NOBODY,
        }
        path = '/api/v2/projects/two/volumes'
        made = self.call(cluster, 'POST', path, body)
        self.assertEqual(('Creating', '1'), (made['state'], made['ETag']))

    def test_state_dump(self) -> None:
        cluster = self.make_cluster(1)
        volume = self.create(cluster)
        snapshot = self.snap(cluster, volume['UUID'])
        state = cluster.state()
        self.assertEqual([volume], state['volumes'])
        self.assertEqual([snapshot], state['snapshots'])
        self.assertEqual('default', state['projects'][0]['name'])
        self.assertEqual(
            {('system', 'root'), ('default', 'root')},
            {(item['scope'], item['id']) for item in state['credentials']},
        )
        self.assertEqual('no-limit-policy', state['policies'][0]['name'])

    def test_populate(self) -> None:
        cluster = self.make_cluster()
        cluster.populate(
            3,
            prefix='many-',
            size=2 * base.GIB,
            replicas=2,
            labels={'owner': 'me'},
            acl=[base.NQN],
        )
        found = {item['name']: item for item in cluster.state()['volumes']}
        self.assertEqual(
            {f'many-000000{index}' for index in range(3)}, set(found)
        )
        one = found['many-0000001']
        self.assertEqual([{'key': 'owner', 'value': 'me'}], one['labels'])
        self.assertEqual(2, len(one['nodeList']))
        for options in ({'project': 'none'}, {'replicas': 4}, {'size': 'x'}):
            self.assertRaises(
                control.SimulatorError, cluster.populate, 1, **options
            )

    def test_objects_that_are_not_there(self) -> None:
        cluster = self.make_cluster(1)
        for call, arguments in (
            (cluster.write, (base.UNKNOWN, 1)),
            (cluster.data_path, (base.UNKNOWN,)),
            (cluster.set_volume_state, (base.UNKNOWN, 'Migrating')),
            (cluster.connect_host, (base.NQN, base.UNKNOWN)),
            (cluster.disconnect_host, (base.NQN,)),
            (cluster.stop_node, (1,)),
            (cluster.stop_api, (1,)),
        ):
            error = self.assertRaises(control.SimulatorError, call, *arguments)
            self.assertEqual(404, error.status, str(call))

    def test_states_that_cannot_be_set(self) -> None:
        cluster = self.make_cluster(1)
        uuid = self.create(cluster)['UUID']
        for state in ('Updating', 'Odd'):
            self.assertRaises(
                control.SimulatorError, cluster.set_volume_state, uuid, state
            )

    def test_same_seed_same_uuids(self) -> None:
        uuids = []
        for _ in range(2):
            simulator = control.Simulator.start(seed=7, clusters='a,b')
            uuids.append([item.uuid for item in simulator.clusters.values()])
            simulator.stop()
        self.assertEqual(uuids[0], uuids[1])
        self.assertNotEqual(uuids[0][0], uuids[0][1])


class ProcessTestCase(base.SimulatorTestCase):
    def start(
        self, state_dir: str | None = None, **options: object
    ) -> control.Simulator:
        simulator = control.Simulator.start(state_dir, **options)
        self.addCleanup(simulator.stop)
        return simulator

    def test_temporary_directory_goes_with_the_process(self) -> None:
        simulator = self.start(clusters='east')
        directory = simulator.state_dir
        self.assertTrue(os.path.isdir(directory))
        self.assertEqual(0o700, stat.S_IMODE(os.stat(directory).st_mode))
        for path in (
            *simulator.clusters['east'].token_files.values(),
            simulator.clusters['east'].private_key_file,
        ):
            self.assertEqual(0o600, stat.S_IMODE(os.stat(path).st_mode))
        simulator.stop()
        self.assertFalse(simulator.alive)
        self.assertFalse(os.path.exists(directory))
        simulator.stop()
        self.assertRaises(control.SimulatorError, simulator.switches)

    def test_given_directory_and_names_of_files(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            simulator = self.start(
                state_dir=directory, clusters='east', projects='one,two'
            )
            expected = {
                'ca.pem',
                'east.server.pem',
                'east.root.key.pem',
                'east.system.jwt',
                'east.one.jwt',
                'east.two.jwt',
            }
            self.assertEqual(expected, set(os.listdir(directory)))
            simulator.stop()
            self.assertIn('ca.pem', os.listdir(directory))

    def test_command_line_makes_clusters(self) -> None:
        simulator = self.start(
            clusters='east,west',
            nodes=2,
            cert='stock',
            version='3.10.0',
            switches={'emit_defaults': True},
            delays={'create': 1},
        )
        east = simulator.clusters['east']
        self.assertEqual(2, len(east.api_endpoints))
        answer = east.request('GET', '/api/v2/cluster').json()
        self.assertEqual('3.10.0', answer['MinVersionInCluster'])
        self.assertEqual(0, answer['health']['numDegradedVolumes'])

    def test_bad_options_are_reported(self) -> None:
        for options, text in (
            ({'clusters': 'a b'}, 'no cluster name'),
            ({'clusters': 'a', 'nodes': 99}, 'nodes'),
            ({'clusters': 'a', 'switches': {'x': 1}}, 'unknown switch'),
            ({'colour': 'red'}, 'colour'),
        ):
            error = self.assertRaises(
                control.SimulatorError, control.Simulator.start, **options
            )
            self.assertIn(text, str(error))

    def test_base_port(self) -> None:
        # Bound and not listening, it keeps the port from others.
        with socket.socket() as kept:
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            kept.bind(('127.0.0.1', 0))
            port = kept.getsockname()[1]
            simulator = self.start(clusters='east', nodes=1, base_port=port)
        self.assertEqual(
            (f'127.0.0.1:{port}',), simulator.clusters['east'].api_endpoints
        )

    def test_shared_is_one_until_it_dies(self) -> None:
        # Of its own, because other tests use the one of the process.
        class Own(control.Simulator):
            _shared = None

        shared = Own.shared()
        self.assertIs(shared, Own.shared())
        shared.stop()
        successor = Own.shared()
        self.addCleanup(successor.stop)
        self.assertIsNot(shared, successor)
        self.assertTrue(successor.alive)

    def run_parent(self, program: str, end: int) -> None:
        """Run a parent of a simulator, end it, and see the child end."""
        parent = subprocess.Popen(
            [sys.executable, '-c', textwrap.dedent(program)],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert parent.stdout is not None
        self.addCleanup(parent.stdout.close)
        self.addCleanup(parent.wait)
        directory = parent.stdout.readline().strip()
        self.assertTrue(os.path.isdir(directory), directory)
        parent.send_signal(end)
        self.until(lambda: not os.path.exists(directory))

    def test_ends_with_a_killed_parent(self) -> None:
        self.run_parent(
            """
            import sys, time
            from tests.simulator import control
            print(control.Simulator.shared().state_dir, flush=True)
            time.sleep(60)
            """,
            signal.SIGKILL,
        )

    def run_server(self, *options: str) -> subprocess.Popen[bytes]:
        """Run the server alone and wait until it is ready."""
        server = subprocess.Popen(
            [sys.executable, '-m', 'tests.simulator', '--clusters=', *options],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        assert server.stdin is not None and server.stdout is not None
        self.addCleanup(server.stdin.close)
        self.addCleanup(server.stdout.close)
        self.assertIn(b'"control"', server.stdout.readline())
        return server

    def test_ends_with_the_process_named(self) -> None:
        with subprocess.Popen(['sleep', '60']) as other:
            server = self.run_server(f'--parent-pid={other.pid}')
            self.assertIsNone(server.poll())
            other.kill()
        self.assertEqual(0, server.wait(10))
        # It is gone already.
        server = self.run_server(f'--parent-pid={other.pid}')
        self.assertEqual(0, server.wait(10))

    def test_ends_with_its_input_or_by_signal(self) -> None:
        server = self.run_server('--exit-with-stdin')
        assert server.stdin is not None
        server.stdin.write(b'ignored')
        server.stdin.flush()
        self.assertIsNone(server.poll())
        server.stdin.close()
        self.assertEqual(0, server.wait(10))
        server = self.run_server()
        server.terminate()
        self.assertEqual(0, server.wait(10))

    def test_library_works_in_both_threading_models(self) -> None:
        body = """
            from tests.simulator import control
            cluster = control.Simulator.shared().add_cluster('a', 1)
            reply = cluster.request('GET', '/api/v2/version')
            assert reply.status == 200, reply
            assert cluster.counters().total == 1
            """
        patch = 'import eventlet; eventlet.monkey_patch()'
        for first in ('', patch):
            program = f'{first}\n{textwrap.dedent(body)}'
            subprocess.run(
                [sys.executable, '-W', 'ignore', '-c', program],
                cwd=_ROOT,
                check=True,
                timeout=60,
            )
