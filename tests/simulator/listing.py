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

"""Reading objects: lists, filters and stale versions."""

from __future__ import annotations

import collections.abc
import contextlib
import typing

from tests.simulator import calls
from tests.simulator import errors
from tests.simulator import lookup
from tests.simulator import model
from tests.simulator import store
from tests.simulator import validate

R = typing.TypeVar('R', bound=model.Resource)

Filter = collections.abc.Callable[[R], bool]


def read(call: calls.Call, items: store.Store[R], uuid: str) -> R:
    """Return an object, or the earlier version a fault asks for.

    :raises ApiError: 404.
    """
    if not call.stale:
        return lookup.by_uuid(items, call.project, uuid)
    past = lookup.earlier(call.cluster, items, uuid, call.stale)
    if past is None or call.project not in (None, past.project):
        raise errors.not_found(f'no such object {uuid}')
    return past


def select(
    call: calls.Call,
    items: store.Store[R],
    name_field: str,
    filters: collections.abc.Iterable[Filter[R]] = (),
) -> collections.abc.Iterator[R]:
    """Yield what a list call asks for, page limits apart.

    :param name_field: query field of the name, which varies by kind.
    """
    deleting = calls.query_flag(call, 'showAll')
    conditions = list(filters)
    for item in _candidates(call, items, name_field):
        if not deleting and item.state is model.State.DELETING:
            continue
        if not all(condition(item) for condition in conditions):
            continue
        if call.stale:
            past = lookup.earlier(call.cluster, items, item.uuid, call.stale)
            if past is not None:
                yield past
        else:
            yield item


def _candidates(
    call: calls.Call, items: store.Store[R], name_field: str
) -> collections.abc.Iterator[R]:
    uuid = call.query.get('UUID')
    name = call.query.get(name_field)
    if uuid:
        item = items.get(validate.uuid(uuid))
        wrong_name = item is not None and name not in (None, '', item.name)
        wrong = item is None or call.project not in (None, item.project)
        return iter(() if item is None or wrong or wrong_name else (item,))
    if name and call.project is not None:
        return iter(
            lookup.ranked_namesakes(call.cluster, items, call.project, name)
        )
    offset = call.query.get('offsetUUID', '')
    after = validate.uuid(offset) if offset else ''
    by_uuid = call.cluster.switches.list_order == 'uuid'
    order = items.by_order if by_uuid else items.by_creation
    found = order(call.project, after)
    return (item for item in found if item.name == name) if name else found


@contextlib.contextmanager
def missing_on_delete(
    call: calls.Call,
) -> collections.abc.Iterator[None]:
    """Answer a delete of what is not there by the switch."""
    try:
        yield
    except errors.ApiError as err:
        if err.code is not errors.Code.NOT_FOUND:
            raise
        status = call.cluster.switches.delete_missing
        raise errors.by_status(status, err.message) from err
