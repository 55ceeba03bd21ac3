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
"""Several ``cinder-volume`` share the work of one backend."""

from __future__ import annotations

from concurrent import futures
import json
import statistics
import time
from typing import Any
import uuid

from openstack import exceptions
from testtools import content

from tests.embedded import cli
from tests.functional import base
from tests.stack import case
from tests.stack import settings

CLUSTER = f'{settings.CLUSTER}@lightbits'
BURST = 64


def host(number: int) -> dict[str, Any]:
    """Return the connector of a numbered host."""
    return base.CONNECTOR | {
        'host': f'compute-{number}', 'ip': f'192.0.2.{number + 11}',
        'host_ips': [f'192.0.2.{number + 11}'],
        'nqn': f'nqn.2014-08.org.nvmexpress:uuid:{uuid.UUID(int=number)}'}


class SharedWorkTest(case.StackTest):
    """Nothing fails; requests go to whichever service is next."""

    def test_life_cycle(self) -> None:
        """Each step is done by some service, and all of them agree."""
        volumes = [self.sdk.create_volume(size=1) for _number in range(6)]
        volumes = [self.settled(self.sdk, volume) for volume in volumes]
        snapshots = [self.snapshot(self.sdk, volume)
                     for volume in volumes[:3]]
        copies = [self.sdk.create_volume(size=1, source_volume_id=volume.id)
                  for volume in volumes[:3]]
        copies += [self.sdk.create_volume(size=2, snapshot_id=snapshot.id)
                   for snapshot in snapshots]
        attachments = [self.attach(volume) for volume in volumes]
        for volume in volumes:
            self.sdk.extend_volume(volume.id, 3)
        for volume in copies:
            found = self.settled(self.sdk, volume)
            self.assertTrue(found.source_volume_id or found.snapshot_id)
        for volume in volumes:
            found = self.settled(self.sdk, volume, 'in-use')
            self.assertEqual(3, found.size)
        self.audit()
        workers = {self.worker_of(volume) for volume in volumes + copies}
        self.assertEqual(set(self.stack.volumes), workers)
        for attachment in attachments:
            self.sdk.delete_attachment(attachment.id)
        self.audit()
        self.remove_all()
        self.audit()

    def attach(self, volume: Any) -> Any:
        """Attach a volume as a host would."""
        made = self.sdk.create_attachment(volume.id,
                                          connector=base.CONNECTOR)
        self.sdk.complete_attachment(made)
        return made

    def test_multiattach(self) -> None:
        """Hosts that come and go side by side keep each other."""
        kind = self.sdk.create_type(
            name='shared', extra_specs={'multiattach': '<is> True'})
        volume = self.create(self.sdk, volume_type=kind.id)
        connectors = [host(number) for number in range(4)]
        with futures.ThreadPoolExecutor(len(connectors)) as pool:
            attachments = list(pool.map(
                lambda connector: self.attach_in_turn(volume, connector),
                connectors))
        self.audit()
        with futures.ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda made: self.stack.sdk().delete_attachment(
                made.id), attachments[1:]))
        self.audit()
        left, = self.stack.records().attachments
        self.assertEqual(connectors[0]['nqn'], left.nqn)
        self.remove_all()
        self.audit()
        self.sdk.delete_type(kind.id)

    def attach_in_turn(self, volume: Any, connector: dict[str, Any]) -> Any:
        """Attach as a host would, while others do.

        Cinder lets only one be on its way at a time.
        """
        sdk = self.stack.sdk()

        def reserve() -> Any:
            try:
                return sdk.create_attachment(volume.id)
            except exceptions.BadRequestException:
                return None

        made = self.wait(reserve, 'a reservation', 180)
        sdk.update_attachment(made.id, connector=connector)
        sdk.complete_attachment(made)
        return made

    def test_burst(self) -> None:
        """Many creates at once: all are made, once, and spread."""
        begin = time.monotonic()
        with futures.ThreadPoolExecutor(16) as pool:
            made = list(pool.map(
                lambda number: self.sdk.create_volume(
                    size=1, name=f'burst-{number}'), range(BURST)))
        asked = time.monotonic()
        wanted = {volume.id for volume in made}
        self.wait_for_volumes(wanted, 300)
        ended = time.monotonic()
        self.audit()
        places = [len([item for item in cluster.volumes
                       if item.label('cinder_id') in wanted])
                  for cluster in self.bed.contents()]
        self.addDetail('figures', content.text_content(json.dumps({
            'requests accepted after s': round(asked - begin, 2),
            'all available after s': round(ended - begin, 2),
            'by cluster': places,
            'by host': {host: self.fresh_log(host).count(': being created')
                        for host in self.stack.volumes}})))
        self.assertEqual(BURST, sum(places))
        self.assertLess(statistics.pstdev(places), BURST / 6, places)
        self.remove_all()
        self.audit()


class ClustersApiTest(case.StackTest):
    """Cinder's clusters, through the client and the API."""

    def listed(self, *options: str) -> list[list[str]]:
        """Return the names that lists give, one for each set of options."""
        lists = [['block', 'storage', 'cluster', 'list', '-f', 'json']
                 + words.split() for words in options]
        printed = self.stack.openstack.batch(lists)
        found = []
        while printed.strip():
            # The prompt is printed, too.
            printed = printed[printed.index('['):]
            rows, end = json.JSONDecoder().raw_decode(printed)
            found.append([row['Name'] for row in rows])
            printed = printed[end:].replace('(openstack)', '')
        return found

    def shown(self) -> dict[str, Any]:
        """Return what the client shows of the cluster."""
        found: dict[str, Any] = self.stack.openstack.json(
            'block', 'storage', 'cluster', 'show', CLUSTER)
        return found

    def status(self, path: str) -> tuple[int, list[str]]:
        """Ask the API; return its status and the names it lists."""
        reply = self.sdk.get(path, microversion='3.70')
        found = reply.json().get('clusters', [])
        return reply.status_code, [item['name'] for item in found]

    def test_show(self) -> None:
        found = self.shown()
        self.assertEqual(
            (CLUSTER, 'cinder-volume', 'up', 'enabled', 3, 0),
            tuple(found[key] for key in (
                'Name', 'Binary', 'State', 'Status', 'Hosts',
                'Down Hosts')))
        self.assertEqual(404, self.status('/clusters/no-such-cluster')[0])

    def test_list(self) -> None:
        self.assertEqual(
            [[CLUSTER], [CLUSTER], [], [], [CLUSTER], []],
            self.listed(
                '', '--up --enabled', '--down', '--disabled',
                f'--cluster {CLUSTER} --num-hosts 3 --num-down-hosts 0 '
                f'--binary cinder-volume', '--num-down-hosts 1'))

    def test_filters(self) -> None:
        """Every filter of the API reference picks and leaves out."""
        for picks, leaves in (
                (f'name={CLUSTER}', 'name=other'),
                ('binary=cinder-volume', 'binary=cinder-backup'),
                ('is_up=True', 'is_up=False'),
                ('disabled=False', 'disabled=True'),
                ('num_hosts=3', 'num_hosts=2'),
                ('num_down_hosts=0', 'num_down_hosts=1'),
                ('replication_status=disabled',
                 'replication_status=enabled'),
                # Cinder hands this one to the database as it is.
                ('frozen=0', 'frozen=1')):
            for path in ('/clusters', '/clusters/detail'):
                self.assertEqual((200, [CLUSTER]),
                                 self.status(f'{path}?{picks}'), picks)
                self.assertEqual((200, []),
                                 self.status(f'{path}?{leaves}'), leaves)
        self.assertEqual((200, []), self.status(
            '/clusters?active_backend_id=other'))

    def test_refusals(self) -> None:
        for query in ('no_such_filter=1', 'is_up=perhaps'):
            self.assertEqual(400, self.status(f'/clusters?{query}')[0],
                             query)
        for path, body, wanted in (
                ('/clusters/enable', {}, 400),
                ('/clusters/disable',
                 {'name': CLUSTER, 'disabled_reason': 'x' * 256}, 400),
                ('/clusters/disable', {'name': 'no-such-cluster'}, 404),
                ('/clusters/turn', {'name': CLUSTER}, 404)):
            reply = self.sdk.put(path, json=body, microversion='3.70')
            self.assertEqual(wanted, reply.status_code, path + reply.text)

    def test_answers(self) -> None:
        """Every answer has all that the API reference says it has."""
        brief = {'name', 'binary', 'state', 'status', 'replication_status'}
        full = brief | {
            'num_hosts', 'num_down_hosts', 'last_heartbeat', 'created_at',
            'updated_at', 'disabled_reason', 'frozen', 'active_backend_id'}
        for path, wanted in (('/clusters', brief),
                             ('/clusters/detail', full)):
            found, = self.answer('get', path)['clusters']
            self.assertEqual(set(), wanted - found.keys(), path)
        shown = self.answer('get', f'/clusters/{CLUSTER}')['cluster']
        self.assertEqual(set(), full - shown.keys())
        named = {'name': CLUSTER, 'binary': 'cinder-volume'}
        self.addCleanup(self.set_cluster, '--enable')
        off = self.answer('put', '/clusters/disable', json={
            **named, 'disabled_reason': 'new cables'})['cluster']
        self.assertEqual(('disabled', 'new cables'),
                         (off['status'], off['disabled_reason']))
        on = self.answer('put', '/clusters/enable', json=named)['cluster']
        self.assertEqual(('enabled', None),
                         (on['status'], on['disabled_reason']))
        self.assertEqual(set(), (brief | {'disabled_reason'}) - off.keys())

    def test_other_binaries(self) -> None:
        """A cluster of another binary is another cluster."""
        reply = self.sdk.put('/clusters/disable', json={
            'name': CLUSTER, 'binary': 'cinder-backup'}, microversion='3.70')
        self.assertEqual(404, reply.status_code, reply.text)
        self.assertEqual('enabled', self.shown()['Status'])

    def test_microversion(self) -> None:
        """Clusters came with 3.7."""
        for version, wanted in (('3.6', 404), ('3.7', 200)):
            reply = self.sdk.get('/clusters', microversion=version)
            self.assertEqual(wanted, reply.status_code, reply.text)

    def answer(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Ask the API, which agrees."""
        reply = getattr(self.sdk, method)(path, microversion='3.70', **body)
        self.assertEqual(200, reply.status_code, reply.text)
        found: dict[str, Any] = reply.json()
        return found

    def test_disabled(self) -> None:
        """It takes nothing new and serves what it has.

        Cinder asks the scheduler for snapshots and growth, too.
        """
        volume, other = self.create(self.sdk), self.create(self.sdk)
        self.set_cluster('--disable', '--disable-reason', 'maintenance')
        self.addCleanup(self.set_cluster, '--enable')
        found = self.shown()
        self.assertEqual(('disabled', 'maintenance'),
                         (found['Status'], found['Disabled Reason']))
        refused = self.sdk.create_volume(size=1)
        self.settled(self.sdk, refused, 'error')
        self.sdk.create_attachment(volume.id, connector=base.CONNECTOR)
        self.delete(self.sdk, other)
        self.audit()
        self.set_cluster('--enable')
        self.assertEqual([[CLUSTER]], self.listed('--enabled'))
        self.create(self.sdk)
        self.remove_all()
        self.audit()

    def set_cluster(self, *options: str) -> None:
        """Change the cluster with the client.

        Releases of the client do it and then fail at the end, with what
        they should have shown for the message.
        """
        try:
            self.stack.openstack.text('block', 'storage', 'cluster', 'set',
                                      *options, CLUSTER)
        except cli.CommandFailed as exc:
            if 'Disabled Reason' not in exc.stderr:
                raise

    def test_services(self) -> None:
        rows = self.stack.openstack.json(
            'volume', 'service', 'list', '--service', 'cinder-volume')
        self.assertEqual(
            [(f'{host}@lightbits', CLUSTER, 'up')
             for host in settings.HOSTS],
            sorted((row['Host'], row['Cluster'], row['State'])
                   for row in rows))
