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

"""Lists: pages, filters and size."""

from __future__ import annotations

from tests.unit.simulator import base

_VOLUMES = f'{base.PROJECT}/volumes'


class ListingTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster(projects=['default', 'other'])

    def page(self, query: str, path: str = _VOLUMES) -> list[str]:
        listed = self.call(self.cluster, 'GET', f'{path}?{query}')
        return [item['UUID'] for item in listed['volumes']]

    def pages(self, path: str, limit: int) -> list[str]:
        found: list[str] = []
        while True:
            after = f'&offsetUUID={found[-1]}' if found else ''
            page = self.page(f'limit={limit}{after}', path)
            if not page:
                return found
            found += page

    def test_pages_hold_everything_once_in_order(self) -> None:
        self.cluster.populate(25)
        self.cluster.populate(10, project='other', prefix='theirs-')
        own = self.pages(_VOLUMES, 7)
        self.assertEqual(25, len(own))
        self.assertEqual(sorted(own), own)
        everything = self.pages('/api/v2/volumes', 10)
        self.assertEqual(35, len(everything))
        self.assertEqual(sorted(everything), everything)
        self.assertEqual(
            set(own), set(self.pages('/api/v2/projects/default/volumes', 3))
        )

    def test_offset_may_be_gone(self) -> None:
        self.cluster.populate(10)
        found = self.pages(_VOLUMES, 10)
        self.delete(self.cluster, found[4])
        self.assertEqual(found[5:], self.page(f'offsetUUID={found[4]}'))

    def test_default_and_largest_page(self) -> None:
        self.cluster.populate(1001)
        for query in ('', 'limit=0', 'limit=5000', 'limit=1000'):
            self.assertEqual(1000, len(self.page(query)), query)

    def test_bad_queries(self) -> None:
        for query in ('limit=-1', 'limit=x', 'offsetUUID=x', 'showAll=maybe'):
            path = f'{_VOLUMES}?{query}'
            self.call(self.cluster, 'GET', path, status=400)

    def test_filters(self) -> None:
        made = [
            self.create(self.cluster, name=f'v{index}') for index in range(3)
        ]
        uuids = [item['UUID'] for item in made]
        self.assertEqual([uuids[1]], self.page(f'UUID={uuids[1]}'))
        self.assertEqual([uuids[2]], self.page('name=v2'))
        self.assertEqual([uuids[2]], self.page('name=v2', '/api/v2/volumes'))
        self.assertEqual([], self.page(f'UUID={uuids[1]}&name=v2'))
        self.assertEqual([], self.page(f'UUID={base.UNKNOWN}'))
        flat = '/api/v2/volumes'
        self.assertEqual(3, len(self.page('projectName=default', flat)))
        self.assertEqual([], self.page('projectName=other', flat))
        nodes = self.call(self.cluster, 'GET', '/api/v2/nodes')['nodes']
        domain = nodes[0]['failureDomains'][0]
        expected = [
            item['UUID']
            for item in made
            if nodes[0]['UUID'] in item['nodeList']
        ]
        self.assertEqual(expected, self.page(f'failureDomain={domain}'))
        self.assertEqual(sorted(uuids), self.page('novelty=1'))

    def test_many_volumes(self) -> None:
        count = 20_000
        self.cluster.populate(count)
        answer = self.cluster.request('GET', f'{_VOLUMES}?limit=1')
        first = answer.json()['volumes'][0]
        for _ in range(5):
            self.create(self.cluster, 409, name=first['name'])
        path = f'{_VOLUMES}/?name=filler-0019999'
        self.assertEqual(
            'filler-0019999', self.call(self.cluster, 'GET', path)['name']
        )
        last = self.pages(_VOLUMES, 1000)
        self.assertEqual(count, len(set(last)))
        answer = self.call(self.cluster, 'GET', '/api/v2/cluster')
        self.assertEqual(count, answer['health']['numHealthyVolumes'])
