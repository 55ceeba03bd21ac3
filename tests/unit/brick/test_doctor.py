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

"""The doctor finds what is wrong, and only that."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import json
import os
import pathlib
import shutil
from unittest import mock

import psutil

from os_brick_ext import cli
from os_brick_ext import doctor
from os_brick_ext import options
from os_brick_ext import sysfs
from tests.unit.brick import base

OK, WARNING, ERROR = doctor.State.OK, doctor.State.WARNING, doctor.State.ERROR


class ExaminationTest(base.BrickTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.etc = pathlib.Path(self.folder, 'etc')
        (self.etc / 'nvme').mkdir(parents=True)
        (self.etc / 'nvme/hostnqn').write_text(f'{base.HOST_NQN}\n')
        (self.etc / 'nvme/hostid').write_text(f'{base.HOST_ID}\n')
        addresses = mock.patch('os_brick_ext.host.addresses', autospec=True,
                               return_value=['192.0.2.1'])
        self.addresses = addresses.start()
        self.addCleanup(addresses.stop)
        mounts = mock.patch('psutil.disk_partitions', autospec=True)
        self.mounts = mounts.start()
        self.addCleanup(mounts.stop)
        self.mount(('/', 'ext4'))

    def mount(self, *mounts: tuple[str, str]) -> None:
        """Have file systems: where they are, and their types."""
        self.mounts.return_value = [
            psutil._ntuples.sdiskpart('none', place, kind, 'rw')
            for place, kind in mounts]

    def patient(self, *endpoints: tuple[str, int],
                others: tuple[doctor.OtherHost, ...] = (),
                **changes: object) -> doctor.Patient:
        return doctor.Patient(
            sysfs.Sysfs(str(self.kernel.sys), str(self.kernel.dev)),
            dataclasses.replace(
                self.settings, **changes),  # type: ignore[arg-type]
            self.etc, endpoints, others)

    def examine(self, *endpoints: tuple[str, int],
                others: tuple[doctor.OtherHost, ...] = (),
                **changes: object) -> dict[str, list[doctor.Finding]]:
        findings = doctor.examine(
            self.patient(*endpoints, others=others, **changes))
        found: dict[str, list[doctor.Finding]] = {}
        for finding in findings:
            self.assertEqual(finding.state is not OK, bool(finding.remedy))
            found.setdefault(finding.check, []).append(finding)
        return found

    def states(self, check: str, *endpoints: tuple[str, int],
               **changes: object) -> list[doctor.State]:
        return [finding.state for finding
                in self.examine(*endpoints, **changes)[check]]

    def test_a_healthy_host(self) -> None:
        nqn = self.cluster(1)
        self.kernel.client_connects(nqn)
        found = self.examine(('127.0.0.1', self.client.port))
        self.assertEqual({OK}, {
            finding.state for group in found.values() for finding in group})
        self.assertEqual(
            {'kernel module', 'native multipath', 'hostnqn', 'hostid',
             'mode', 'discovery client', 'locks', 'addresses', 'endpoint',
             'connection'}, set(found))

    def test_other_hosts(self) -> None:
        self.assertNotIn('other hosts', self.examine())
        text = cli._json(doctor.examine(self.patient()))
        other = base.HOST_NQN[:-1] + ('0' if base.HOST_NQN[-1] != '0'
                                      else '1')
        (self.etc / 'nvme/hostnqn').write_text(f'{other}\n')
        found = self.examine(
            others=(doctor.read_other('clone.json', text),))['other hosts']
        self.assertEqual([OK, ERROR], [one.state for one in found])
        self.assertIn('hostid', found[1].found)
        self.assertIn('clone.json', found[1].found)

    def test_other_hosts_that_are_twins(self) -> None:
        """Though this one has names of its own, or none."""
        others = tuple(doctor.OtherHost(source, {
            'hostnqn': nqn, 'hostid': f'id of {source}'})
            for source, nqn in (('a', 'one'), ('b', 'two'), ('c', 'one')))
        for _time in range(2):
            found = self.examine(others=others)['other hosts']
            self.assertEqual([ERROR, OK], [one.state for one in found])
            self.assertIn('hostnqn is the same on a, c', found[0].found)
            shutil.rmtree(self.etc / 'nvme', ignore_errors=True)

    def test_what_no_other_host_says(self) -> None:
        for text in ('', '{}x', '[{"check": "hostid"}]', '[1]', '5'):
            with self.assertRaisesRegex(ValueError, 'this file'):
                doctor.read_other('this file', text)

    def test_modules(self) -> None:
        os.rename(self.kernel.sys / 'module/nvme_tcp',
                  self.kernel.sys / 'module/other')
        self.assertEqual([OK, ERROR], self.states('kernel module'))

    def test_multipath(self) -> None:
        path = self.kernel.sys / 'module/nvme_core/parameters/multipath'
        path.write_text('N\n')
        self.assertEqual([ERROR], self.states('native multipath'))

    def test_names(self) -> None:
        for name in ('hostnqn', 'hostid'):
            path = self.etc / 'nvme' / name
            path.write_text('what is this?\n')
            self.assertEqual([ERROR], self.states(name))
            path.unlink()
            self.assertEqual([WARNING], self.states(name))

    def test_discovery_client(self) -> None:
        self.client.close()
        self.assertEqual([ERROR], self.states('discovery client'))
        self.kernel.drop_ins.rmdir()
        self.assertEqual([ERROR, ERROR], self.states('discovery client'))

    def test_automatic_mode(self) -> None:
        def mode() -> str:
            return self.examine(mode=options.AUTO)['mode'][0].found

        self.assertIn('discovery-client (chosen', mode())
        self.kernel.drop_ins.rmdir()
        self.assertIn('native (chosen', mode())

    def test_native_mode(self) -> None:
        native = {'mode': options.NATIVE}
        self.assertEqual(
            [WARNING], self.states('discovery client', **native))
        self.client.close()
        with mock.patch('shutil.which', autospec=True) as which:
            which.return_value = None
            self.assertEqual([WARNING], self.states('nvme-cli', **native))
            which.return_value = '/usr/sbin/nvme'
            self.assertEqual([OK], self.states('nvme-cli', **native))
        self.assertNotIn('discovery client', self.examine(**native))

    def test_files_of_volumes_from_before_native_mode(self) -> None:
        self.client.close()
        for name in ('tmp.dc.x', f'{base.volume(1)}.conf.old', 'a.conf',
                     f'{base.volume(1)}'):
            (self.kernel.drop_ins / name).touch()
        native = {'mode': options.NATIVE}
        self.assertNotIn('discovery client', self.examine(**native))
        for number in (2, 3):
            (self.kernel.drop_ins / f'{base.volume(number)}.conf').touch()
        finding, = self.examine(**native)['discovery client']
        self.assertEqual(WARNING, finding.state)
        self.assertIn(f'2 volumes, such as {base.volume(2)}', finding.found)
        # With the client they are what it works by.
        self.assertNotIn('volumes', str(
            self.examine()['discovery client'][0].found))

    def test_locks(self) -> None:
        self.assertEqual([WARNING], self.states('locks', lock_folder=''))
        self.assertEqual([ERROR], self.states(
            'locks', lock_folder=f'{self.folder}/none'))

    def test_a_container_with_files_of_its_own(self) -> None:
        self.mount(('/', 'overlay'))
        self.assertEqual([WARNING, WARNING], self.states('container'))
        self.mount(('/', 'overlay'), (self.locks, 'tmpfs'),
                   (f'{self.etc}/nvme', 'ext4'))
        self.assertNotIn('container', self.examine())
        self.mount(('/', 'overlay'), (self.locks, 'tmpfs'))
        finding, = self.examine()['container']
        self.assertIn(f'{self.etc}/nvme', finding.found)

    def test_addresses(self) -> None:
        self.addresses.return_value = []
        self.assertEqual([ERROR], self.states('addresses'))
        for count, state in ((16, OK), (17, WARNING)):
            self.addresses.return_value = [
                f'192.0.2.{number}' for number in range(count)]
            finding, = self.examine()['addresses']
            self.assertEqual(state, finding.state)
            self.assertIn('192.0.2.15', finding.found)
        self.assertIn('lightbits_data_networks', finding.remedy)

    def test_endpoints(self) -> None:
        down = self.listener()
        down.close()
        found = self.examine(('127.0.0.1', self.client.port),
                             ('127.0.0.1', down.port))['endpoint']
        self.assertEqual([OK, ERROR], [one.state for one in found])
        self.assertIn('from 127.0.0.1', found[0].found)
        self.assertIn(f'Errno {errno.ECONNREFUSED}', found[1].found)

    def test_endpoints_that_cannot_be(self) -> None:
        for port in (443, 4420):
            finding, = self.examine(('a..b', port))['endpoint']
            self.assertEqual(ERROR, finding.state)
            self.assertIn(f'a..b:{port} is not reachable from here',
                          finding.found)

    def test_nodes_that_hang(self) -> None:
        """To accept connections is not enough where NVMe is spoken."""
        node, mute, http = (
            self.listener(), self.listener(None), self.listener(base.OK * 2))
        for ports, states in (({}, [OK, OK, OK]),
                              ({node.port, mute.port, http.port},
                               [OK, ERROR, ERROR])):
            with (mock.patch.object(doctor, 'NVME_PORTS', frozenset(ports)),
                  self.impatient_with(mute)):
                self.assertEqual(states, self.states('endpoint', *(
                    ('127.0.0.1', one.port) for one in (node, mute, http))))

    def test_connections(self) -> None:
        nqn = self.cluster(1)
        self.kernel.client_connects(nqn)
        self.kernel.set_state('nvme0', 'connecting')
        (self.kernel.sys / 'class/nvme/nvme1/queue_count').write_text('1\n')
        self.assertEqual([WARNING, WARNING], self.states('connection'))

    def test_discovery_needs_no_queue_for_io(self) -> None:
        self.kernel.client_connects(self.cluster(1))
        folder = self.kernel.sys / 'class/nvme/nvme0'
        (folder / 'queue_count').write_text('1\n')
        self.assertEqual([WARNING, OK], self.states('connection'))
        (folder / 'subsysnqn').write_text(
            'nqn.2014-08.org.nvmexpress.discovery\n')
        self.assertEqual([OK], self.states('connection'))

    def test_local_drives_are_none_of_its_business(self) -> None:
        self.kernel.client_connects(self.cluster(1))
        for name in ('nvme0', 'nvme1'):
            (self.kernel.sys / 'class/nvme' / name / 'transport'
             ).write_text('pcie\n')
        self.assertNotIn('connection', self.examine())


class EndpointsTest(base.BrickTestCase):

    def test_forms(self) -> None:
        for text, expected in (
                ('192.0.2.1:4420', [('192.0.2.1', 4420)]),
                ('[2001:db8::1]:443', [('2001:db8::1', 443)]),
                ('node1.example:8009', [('node1.example', 8009)]),
                ('node1', [('node1', 443), ('node1', 4420),
                           ('node1', 8009)]),
                ('2001:db8::1', [('2001:db8::1', 443),
                                 ('2001:db8::1', 4420),
                                 ('2001:db8::1', 8009)]),
                ('[2001:db8::1]', [('2001:db8::1', 443),
                                   ('2001:db8::1', 4420),
                                   ('2001:db8::1', 8009)])):
            self.assertEqual(expected, doctor.parse_endpoint(text), text)

    def test_other_forms(self) -> None:
        for text in ('', ':443', 'node1:', 'node1:https', 'node1:0',
                     'node1:70000', 'a b:443', '[node1]:443', 'a:b:443',
                     '[]:443', '[]'):
            self.assertRaises(ValueError, doctor.parse_endpoint, text)


class CommandTest(base.BrickTestCase):

    def setUp(self) -> None:
        super().setUp()
        examine = mock.patch('os_brick_ext.doctor.examine', autospec=True,
                             side_effect=doctor.examine)
        self.examine = examine.start()
        self.addCleanup(examine.stop)

    def run_it(self, *words: str) -> tuple[int, str]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                code = cli.main(['doctor', *words])
            except SystemExit as exc:
                code = int(exc.code or 0)
        return code, out.getvalue()

    def answer(self, *states: doctor.State) -> None:
        """Have the examination come to these findings."""
        self.examine.side_effect = None
        self.examine.return_value = [
            doctor.Finding('check', state, f'found {state}',
                           '' if state is OK else 'mend it')
            for state in states]

    def test_exit_codes(self) -> None:
        for states, code in (((OK,), 0), ((OK, WARNING), 0),
                             ((ERROR, OK), 1)):
            self.answer(*states)
            self.assertEqual(code, self.run_it()[0])

    def test_table(self) -> None:
        self.answer(OK, ERROR)
        self.assertEqual(
            'ok       check found ok\n'
            'error    check found error\n'
            '               -> mend it\n', self.run_it()[1])

    def test_json(self) -> None:
        self.answer(OK, ERROR)
        self.assertEqual(
            [{'check': 'check', 'state': 'ok', 'found': 'found ok',
              'remedy': ''},
             {'check': 'check', 'state': 'error', 'found': 'found error',
              'remedy': 'mend it'}], json.loads(self.run_it('-f', 'json')[1]))

    def test_what_is_asked(self) -> None:
        self.answer(OK)
        path = self.create_tempfiles([('nova', (
            '[os_brick_ext]\nmode = native\n'
            '[oslo_concurrency]\nlock_path = /locks\n'))], '.conf')[0]
        self.run_it('--config-file', path, '--endpoint', 'node1:443',
                    '--endpoint', '[2001:db8::1]:8009')
        patient = self.examine.call_args.args[0]
        self.assertEqual((('node1', 443), ('2001:db8::1', 8009)),
                         patient.endpoints)
        self.assertEqual(('native', '/locks'), (
            patient.chosen.mode, patient.chosen.lock_folder))

    def test_misuse(self) -> None:
        for words, text in (
                (['--endpoint', 'a b:443'], 'not HOST or HOST:PORT'),
                (['--format', 'xml'], 'xml'),
                (['--config-file', '/none/at/all'], '/none/at/all'),
                (['--config-file', f'{self.folder},/none'], '/none'),
                (['--config-file', f'{__file__},'], 'FILE,FILE'),
                (['--config-file', __file__], __file__),
                (['--other-host', '/none/at/all'], '/none/at/all'),
                (['--other-host', __file__], 'doctor -f json')):
            code, out = self.run_it(*words)
            self.assertEqual(2, code)
            self.assertIn(text, out)

    def test_this_machine(self) -> None:
        """The real examination, whatever its outcome here."""
        code, out = self.run_it('-f', 'json')
        findings = json.loads(out)
        self.assertEqual(
            int(any(one['state'] == 'error' for one in findings)), code)
        self.assertIn('mode', {one['check'] for one in findings})
