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

"""Faults a test asks a cluster to show."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import fnmatch
import typing

from tests.simulator import errors
from tests.simulator import model

ANY = '*'


class Kind(enum.StrEnum):
    """What goes wrong."""

    # No listening socket: connections are refused, open ones are closed.
    REFUSE = 'refuse'
    # Nothing is ever answered. For all routes: connections are accepted
    # and then silent, even in TLS, and open ones freeze. For one route:
    # such a request is never answered.
    BLACKHOLE = 'blackhole'
    # `seconds` pass first.
    SLOW = 'slow'
    # An error `status`, with the usual JSON body or the one given.
    STATUS = 'status'
    # The connection is closed and nothing was done.
    DROP_BEFORE = 'drop_before'
    # The request is served, and the connection closed without a reply.
    APPLY_THEN_DROP = 'apply_then_drop'
    # The connection is reset and nothing was done.
    RESET = 'reset'
    # Reads answer an object as it was `versions` changes ago.
    STALE = 'stale'
    # The request is served, and the reply is damaged.
    WRONG_JSON = 'wrong_json'
    # Volumes and snapshots are accepted and end in Failed.
    FAIL_CREATE = 'fail_create'


# Parameters of each kind with their defaults; the type of the default is
# the type of the parameter.
_PARAMETERS: dict[Kind, dict[str, typing.Any]] = {
    Kind.REFUSE: {},
    Kind.BLACKHOLE: {'applied': False, 'deliver': False},
    Kind.SLOW: {'seconds': 1.0, 'after_apply': False, 'abandoned': 'discard'},
    Kind.STATUS: {
        'status': 503,
        'message': '',
        'code': 0,
        'body': '',
        'content_type': '',
        'applied': False,
    },
    Kind.DROP_BEFORE: {},
    Kind.APPLY_THEN_DROP: {},
    Kind.RESET: {'applied': False},
    Kind.STALE: {'versions': 1},
    Kind.WRONG_JSON: {'mode': 'truncated'},
    Kind.FAIL_CREATE: {},
}

DAMAGE = ('truncated', 'short', 'html', 'empty', 'not_object')

_RANGES: dict[str, tuple[float, float]] = {
    'status': (200, 599),
    'code': (0, 16),
    'seconds': (0.0, 3600.0),
    'versions': (1, model.HISTORY),
}
_WORDS = {'mode': DAMAGE, 'abandoned': ('discard', 'apply')}


@dataclasses.dataclass(slots=True, eq=False)
class Fault:
    """One fault and whom it strikes.

    :param route: pattern of route names, such as ``volumes.*``.
    :param method: HTTP method, or None for all.
    :param node: index of a node, or None for all.
    :param count: hits until it is over, or None.
    :param after: hits it lets pass first.
    :param client: ``address:port`` of the client it struck last.
    """

    kind: Kind
    route: str = ANY
    method: str | None = None
    node: int | None = None
    count: int | None = None
    after: int = 0
    params: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    hits: int = 0
    client: str = ''
    id: str = ''

    @property
    def of_connections(self) -> bool:
        """Whether it strikes whole connections and not single requests."""
        if self.kind is Kind.REFUSE:
            return True
        everything = self.route == ANY and self.method is None
        return self.kind is Kind.BLACKHOLE and everything

    def strikes(self, route: str, method: str, node: int) -> bool:
        """Whether this request is one of those it is meant for."""
        if self.node not in (None, node):
            return False
        if self.method not in (None, method):
            return False
        return self.route == ANY or fnmatch.fnmatchcase(route, self.route)

    def spend(self, client: str) -> bool:
        """Count a hit; return whether the fault acts on it."""
        if self.after:
            self.after -= 1
            return False
        if self.count is not None:
            if not self.count:
                return False
            self.count -= 1
        self.hits += 1
        self.client = client
        return True

    def as_json(self) -> dict[str, typing.Any]:
        """Return the fault as the control API shows it."""
        return dataclasses.asdict(self)


def parse(values: collections.abc.Mapping[str, typing.Any]) -> Fault:
    """Parse a fault of the control API.

    :raises ControlError: naming the field at fault.
    """
    rest = dict(values)
    kind = _kind(rest.pop('kind', None))
    fault = Fault(
        kind=kind,
        route=str(rest.pop('route', ANY)),
        method=_method(rest.pop('method', None)),
        node=_number(rest, 'node'),
        count=_number(rest, 'count'),
        after=_number(rest, 'after') or 0,
        params=_parameters(kind, rest),
    )
    if fault.of_connections:
        _check_connections(fault)
    return fault


def _kind(value: object) -> Kind:
    try:
        return Kind(str(value))
    except ValueError as err:
        raise errors.ControlError(
            f'fault kind {value!r} is unknown; known are: ' + ', '.join(Kind)
        ) from err


def _method(value: object) -> str | None:
    return None if value is None else str(value).upper()


def _number(rest: dict[str, typing.Any], name: str) -> int | None:
    value = rest.pop(name, None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise errors.ControlError(
            f'fault {name}: {value!r} is not a whole number of 0 or more'
        )
    return value


def _parameters(
    kind: Kind, rest: dict[str, typing.Any]
) -> dict[str, typing.Any]:
    params = dict(_PARAMETERS[kind])
    for name, value in rest.items():
        if name not in params:
            known = ', '.join(params) or 'none'
            raise errors.ControlError(
                f'fault {kind}: unknown parameter {name!r}; known: {known}'
            )
        params[name] = _parameter(kind, name, params[name], value)
    return params


def _parameter(
    kind: Kind, name: str, default: typing.Any, value: typing.Any
) -> typing.Any:
    if isinstance(default, float) and isinstance(value, int):
        value = float(value)
    if type(value) is not type(default):
        raise errors.ControlError(
            f'fault {kind}: parameter {name}: {value!r} is not a '
            f'{type(default).__name__}'
        )
    if name in _RANGES and not _RANGES[name][0] <= value <= _RANGES[name][1]:
        raise errors.ControlError(
            f'fault {kind}: parameter {name}: {value!r} is not '
            f'{_RANGES[name][0]} to {_RANGES[name][1]}'
        )
    if name in _WORDS and value not in _WORDS[name]:
        raise errors.ControlError(
            f'fault {kind}: parameter {name}: {value!r} is not one of '
            + ', '.join(_WORDS[name])
        )
    return value


def _check_connections(fault: Fault) -> None:
    if fault.count is not None or fault.after:
        raise errors.ControlError(
            f'fault {fault.kind}: connections are not counted; clear it '
            'instead of count or after'
        )
    if fault.route != ANY or fault.method is not None:
        raise errors.ControlError(
            f'fault {fault.kind}: it strikes whole nodes, not a route'
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What the faults do to one request."""

    delay: float = 0.0
    late_delay: float = 0.0
    apply_abandoned: bool = False
    stale: int = 0
    doomed: bool = False
    ending: Fault | None = None

    @property
    def applied(self) -> bool:
        """Whether the request is served before it ends."""
        if self.ending is None:
            return True
        kind = self.ending.kind
        if kind in (Kind.APPLY_THEN_DROP, Kind.WRONG_JSON):
            return True
        return bool(self.ending.params.get('applied', False))


NO_PLAN = Plan()


class FaultSet:
    """The faults of one cluster, oldest first."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._made = 0

    def add(self, fault: Fault) -> None:
        """Add a fault and give it an id."""
        self._made += 1
        fault.id = f'fault-{self._made}'
        self.faults.append(fault)

    def remove(self, fault_id: str) -> None:
        """Clear one fault.

        :raises ControlError: 404, there is none of that id.
        """
        left = [fault for fault in self.faults if fault.id != fault_id]
        if len(left) == len(self.faults):
            raise errors.ControlError(f'no such fault {fault_id}', 404)
        self.faults = left

    def forget_node(self, node: int) -> None:
        """Clear the faults that strike one node alone."""
        self.faults = [item for item in self.faults if item.node != node]

    def clear(self) -> None:
        """Clear all faults."""
        self.faults = []

    def of_node(self, node: int, kind: Kind) -> Fault | None:
        """Return the fault of that kind on connections of a node."""
        for fault in self.faults:
            matches = fault.kind is kind and fault.of_connections
            if matches and fault.node in (None, node):
                return fault
        return None

    def plan(
        self, route: str, method: str, node: int, client: str
    ) -> Plan:
        """Return what happens to a request, counting the hits.

        Of faults that end a request the oldest acts; the others add up.

        :param client: ``address:port`` of who asks.
        """
        if not self.faults:
            return NO_PLAN
        plan = NO_PLAN
        for fault in self.faults:
            if fault.of_connections:
                continue
            ends = fault.kind not in _ADDING
            if ends and plan.ending is not None:
                continue
            if fault.strikes(route, method, node) and fault.spend(client):
                plan = _ADDING.get(fault.kind, _end)(plan, fault)
        return plan


def _end(plan: Plan, fault: Fault) -> Plan:
    return dataclasses.replace(plan, ending=fault)


def _slow(plan: Plan, fault: Fault) -> Plan:
    seconds = fault.params['seconds']
    if fault.params['after_apply']:
        return dataclasses.replace(plan, late_delay=plan.late_delay + seconds)
    return dataclasses.replace(
        plan,
        delay=plan.delay + seconds,
        apply_abandoned=fault.params['abandoned'] == 'apply',
    )


def _stale(plan: Plan, fault: Fault) -> Plan:
    return dataclasses.replace(plan, stale=fault.params['versions'])


def _doom(plan: Plan, fault: Fault) -> Plan:
    return dataclasses.replace(plan, doomed=True)


_ADDING: dict[Kind, collections.abc.Callable[[Plan, Fault], Plan]] = {
    Kind.SLOW: _slow,
    Kind.STALE: _stale,
    Kind.FAIL_CREATE: _doom,
}
