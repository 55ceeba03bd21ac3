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

"""What the scheduler is told, and how it judges by it."""

from typing import Any
import unittest

from cinder import exception
from cinder.scheduler.evaluator import evaluator
from oslotest import base

from cinder_lightbits_federation import capacity
from cinder_lightbits_federation.goldenrules import GoldenPolicy
from cinder_lightbits_federation import placement
from cinder_lightbits_federation.settings import CopySettings
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.settings import PoolMode
from cinder_lightbits_federation import statistics
from tests.unit import placing


def settings(pools: PoolMode = PoolMode.FEDERATION, replicas: int = 1,
             **policy: Any) -> FederationSettings:
    """A backend without clusters of its own."""
    return FederationSettings(
        section='lightbits',
        federation_id='0d1c9d3e-6b0a-4d53-9f4e-2b7c0c5a1f10', clusters=(),
        broken=(), project='default', default_replicas=replicas,
        default_compression=False, use_ip_acl=True, data_networks=(),
        connect_timeout=1, operation_timeout=10, poll_interval=15,
        pools=pools, policy=placement.PlacementPolicy(**policy),
        copies=CopySettings(rate=0, jobs=2, verify=False, clones=False,
                            retypes=False),
        golden=GoldenPolicy())


def pool(*views: placement.ClusterView, replicas: int = 1, **policy: Any
         ) -> dict[str, Any]:
    """The figures of one pool with these clusters."""
    found, = statistics.pools(views, settings(replicas=replicas, **policy),
                              '20.0')
    return found


def sizes(told: dict[str, Any]) -> tuple[Any, ...]:
    """Total, free, provisioned and the largest volume."""
    return tuple(told[key] for key in (
        'total_capacity_gb', 'free_capacity_gb', 'provisioned_capacity_gb',
        'lightbits_largest_volume_gb'))


class PoolTestCase(base.BaseTestCase):

    def test_all_sums_are_over_the_same_clusters(self) -> None:
        told = pool(
            placing.view('east', capacity=placing.room(100, 1000, 800)),
            placing.view('west', capacity=placing.room(500, 2000, 1000),
                         reserved=30 * placing.GIB),
            placing.view('north', capacity=placing.room(700, 3000, 3000),
                         connection=placing.Connection.DISCONNECTED,
                         reason='no route'),
            placing.view('south', capacity=placing.room(700, 3000, 3000),
                         admin_state=placing.State.DRAINING),
            max_over_subscription=1.0)

        self.assertEqual((3000, 1800, 630, 1470), sizes(told))
        self.assertEqual(2, told['lightbits_clusters_open'])
        self.assertEqual('north: no route; south: draining',
                         told['lightbits_clusters_closed'])

    def test_figures_are_at_the_default_replica_count(self) -> None:
        told = pool(placing.view('east', capacity=placing.room(
            300, 3000, 1500)), replicas=3, max_over_subscription=1.0)

        self.assertEqual((1000, 500, 100, 900), sizes(told))

    def test_without_an_open_cluster_it_is_closed(self) -> None:
        for views in ((), (placing.view(
                'east', admin_state=placing.State.LOST),)):
            self.assertEqual((0, 0, 0, 0), sizes(pool(*views)))

    def test_a_cluster_never_reached_is_told_as_closed(self) -> None:
        told = pool(placement.ClusterView(
            uuid='', name='east',
            connection=placing.Connection.CONNECTING))

        self.assertEqual((0, 0, 0, 0), sizes(told))
        self.assertIn('east', told['lightbits_clusters_closed'])

    def test_unknown_only_when_nobody_can_tell(self) -> None:
        hidden = placing.view('west', capacity=capacity.Capacity(
            provisioned=10 * placing.GIB,
            source=capacity.Source.VOLUMES))

        self.assertEqual(('unknown', 'unknown', 0, statistics.UNKNOWN),
                         sizes(pool(hidden)))
        self.assertEqual(1000, pool(hidden, placing.view('east'))[
            'total_capacity_gb'])

    def test_figures_are_never_infinite_nor_all_reserved(self) -> None:
        told = pool(placing.view('east'), reserved_percentage=10)

        self.assertEqual(10, told['reserved_percentage'])
        self.assertEqual('20.0', told['max_over_subscription_ratio'])
        for key in ('total_capacity_gb', 'free_capacity_gb'):
            self.assertIsInstance(told[key], float)

    def test_a_pool_for_each_cluster(self) -> None:
        told = statistics.pools(
            (placing.view('east'),
             placing.view('west', connection=placing.Connection.UNAUTHORIZED,
                          reason='token')),
            settings(PoolMode.CLUSTER), '20.0')

        self.assertEqual(['east', 'west'],
                         [one['pool_name'] for one in told])
        self.assertEqual([1000, 0], [one['total_capacity_gb']
                                     for one in told])
        self.assertEqual('west: token',
                         told[1]['lightbits_clusters_closed'])


def evaluator_works() -> bool:
    """Whether Cinder's evaluator reads the example of its documentation.

    It does not with every release of pyparsing.
    """
    try:
        return bool(evaluator.evaluate('volume.size < 10',
                                       volume={'size': 1}))
    except exception.EvaluatorParseException:
        return False


@unittest.skipUnless(evaluator_works(), "Cinder's evaluator does not work")
class FunctionTestCase(base.BaseTestCase):
    """The functions, as the scheduler evaluates them."""

    @staticmethod
    def evaluate(function: str, told: dict[str, Any], size: int) -> Any:
        """:returns: what the function says of a volume of `size` GiB."""
        return evaluator.evaluate(function, capabilities=told,
                                  volume={'size': size})

    def test_the_filter_refuses_what_fits_no_single_cluster(self) -> None:
        told = pool(placing.view('east'), placing.view('west'),
                    max_over_subscription=1.0)

        for size, fits in ((1000, True), (1001, False)):
            self.assertEqual(fits, self.evaluate(
                statistics.default_filter(1), told, size))

    def test_the_filter_leaves_single_replicas_to_the_driver(self) -> None:
        told = pool(placing.view('east'), max_over_subscription=1.0)

        self.assertTrue(self.evaluate(
            statistics.default_filter(3), told, 3000))
        self.assertFalse(self.evaluate(
            statistics.default_filter(3), told, 3001))

    def test_the_filter_lets_pass_what_nobody_can_tell(self) -> None:
        told = pool(placing.view('east', capacity=capacity.Capacity(
            provisioned=0, source=capacity.Source.VOLUMES)))

        self.assertTrue(self.evaluate(statistics.default_filter(1), told, 10))

    def test_the_goodness_falls_as_the_pool_is_promised_away(self) -> None:
        for provisioned, goodness in ((0, 100), (250, 75), (1000, 0),
                                      (5000, 0)):
            told = pool(placing.view('east', capacity=placing.room(
                provisioned, 1000, 1000)))
            self.assertEqual(goodness, self.evaluate(
                statistics.DEFAULT_GOODNESS, told, 1))

    def test_the_goodness_of_a_closed_pool_is_a_number(self) -> None:
        self.assertEqual(100, self.evaluate(
            statistics.DEFAULT_GOODNESS, pool(), 1))
