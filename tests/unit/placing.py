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

"""Clusters, requests and policies for tests of placement."""

import dataclasses
import random
import uuid as uuidlib

from hypothesis import strategies as st

from cinder_lightbits_federation import capacity
from cinder_lightbits_federation import placement
from cinder_lightbits_federation import sizes
from cinder_lightbits_federation import spec as specs

NAMES = ('east', 'north', 'south', 'west', 'alpha', 'beta', 'gamma', 'delta')
UUIDS = {name: str(uuidlib.uuid5(uuidlib.NAMESPACE_DNS, name))
         for name in NAMES}
POLICY_UUID = 'c6b1e0a4-7f0d-4d6c-8a43-0c9d4b1f2e77'
GIB = sizes.GIB
POLICY = placement.PlacementPolicy(max_over_subscription=1.0)
State = placement.AdminState
Connection = placement.Connection


def room(provisioned=0, effective=1000, free=None):
    return capacity.Capacity(
        provisioned=provisioned * GIB, source=capacity.Source.CLUSTER,
        effective=effective * GIB,
        free_physical=(effective if free is None else free) * GIB)


def view(name, **fields):
    fields.setdefault('capacity', room())
    return placement.ClusterView(uuid=UUIDS[name], name=name, **fields)


def request(size=10, replicas=2, **fields):
    extra_specs = fields.pop('extra_specs', {})
    return placement.PlacementRequest(
        size=size * GIB, replicas=replicas,
        project=fields.pop('project', 'default'),
        spec=specs.VolumeSpec.from_extra_specs(extra_specs), **fields)


def choose(wanted, views, policy=POLICY, seed=1):
    return placement.choose(wanted, views, policy, random.Random(seed))


def names(decision):
    return [one.name for one in decision.ranked]


FACTS = {
    'admin_state': st.sampled_from((State.ENABLED,) * 3 + tuple(State)),
    'connection': st.sampled_from((Connection.CONNECTED,) * 5
                                  + tuple(Connection)),
    'capacity': st.none() | st.builds(
        room, st.integers(0, 1200), st.integers(0, 1200),
        st.integers(0, 1200)),
    'reserved': st.integers(0, 200).map(lambda gib: gib * GIB),
    'max_replicas': st.none() | st.integers(0, 3),
    'projects': st.none() | st.just(frozenset({'default'}))
    | st.just(frozenset()),
    'qos_policies': st.none() | st.just({'gold': POLICY_UUID})
    | st.just({}),
    'failure_domains': st.none() | st.just(frozenset({'r1'})),
    'upgrading': st.booleans(),
    'recent_creates': st.integers(0, 20),
}


def fleets(facts):
    """Up to eight clusters of which some of the facts are told."""
    return st.integers(0, 8).flatmap(lambda count: st.tuples(*(
        st.fixed_dictionaries({}, optional=facts).map(
            lambda told, name=name: view(name, **told))
        for name in NAMES[:count])).map(list))


VIEWS = fleets(FACTS)
EXTRA_SPECS = st.fixed_dictionaries({}, optional={
    'lightos:cluster': st.sampled_from(('east,west,alpha', '!north')),
    'lightos:qos_policy': st.sampled_from(('gold', POLICY_UUID)),
    'lightos:spread_group': st.just('db'),
    'lightos:sector_size': st.just('512')})
UUID_SETS = st.sets(st.sampled_from(sorted(UUIDS.values()))).map(frozenset)
REQUESTS = st.builds(
    request, size=st.integers(1, 500), replicas=st.integers(1, 3),
    extra_specs=EXTRA_SPECS, only=st.none() | UUID_SETS,
    exclude=UUID_SETS.map(lambda uuids: dict.fromkeys(uuids, 'refused')),
    spread_counts=st.dictionaries(st.sampled_from(sorted(UUIDS.values())),
                                  st.integers(0, 3)))
POLICIES = st.builds(
    placement.PlacementPolicy,
    max_over_subscription=st.floats(1, 20),
    reserved_percentage=st.integers(0, 99),
    max_create_share=st.floats(0.1, 1), tie_band=st.floats(0, 0.1),
    share_window_min=st.integers(1, 50))


@st.composite
def changed(draw, views, facts):
    """Some of the views become others, the rest stay the same objects."""
    kept = list(views)
    for number in range(len(kept)):
        if draw(st.integers(0, 3)) == 0:
            kept[number] = dataclasses.replace(kept[number], **draw(
                st.fixed_dictionaries({}, optional=facts)))
    return kept[:-1] if draw(st.integers(0, 9)) == 0 else kept
