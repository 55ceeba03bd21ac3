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

"""Cinder's tables, read and written as columns and in pages.

Objects of ``cinder.objects`` would load a volume's metadata, type, group and
glance properties with it; a hundred thousand of them take minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
import contextlib
from typing import Any

from cinder import context as cinder_context
from cinder.db import api as db_api
from cinder.volume import volume_types
import sqlalchemy as sa

from cinder_lightbits_federation.location import TAG
from cinder_lightbits_federation.spec import PROJECT_NAME

PAGE = 5000
# Ids in one question: databases limit the length of a list.
CHUNK = 500
_UUID = 36

Row = Any


def model_of(name: str) -> Any:
    """:returns: the table of Cinder's of that name, such as ``Volume``."""
    return db_api.get_model_for_versioned_object(name)


def _manager() -> Any:
    """Cinder's transactions: until release 28 behind another module."""
    manager = getattr(db_api, 'main_context_manager', None)
    return manager or db_api.IMPL.main_context_manager


@contextlib.contextmanager
def reading() -> Iterator[Any]:
    """A session of Cinder's that is only read from."""
    with _manager().reader.using(
            cinder_context.get_admin_context()) as session:
        yield session


@contextlib.contextmanager
def writing() -> Iterator[Any]:
    """A session of Cinder's; committed at the end unless it raises."""
    with _manager().writer.using(
            cinder_context.get_admin_context()) as session:
        yield session


def of_backend(model: Any, host: str, cluster: str | None) -> Any:
    """The condition that a row belongs to a backend, in whatever pool.

    :param model: of a table with ``host`` and ``cluster_name``.
    :param host: ``host@backend``.
    :param cluster: ``cluster@backend`` of a clustered service, or None.
    """
    mine = ((model.host == host)
            | model.host.startswith(f'{host}#', autoescape=True))
    if cluster is None:
        return mine
    return (mine | (model.cluster_name == cluster)
            | model.cluster_name.startswith(f'{cluster}#', autoescape=True))


def cluster_recorded(model: Any) -> Any:
    """The UUID of the cluster that a row names, as SQL; empty for none.

    :param model: of a table with ``provider_location``.
    """
    # Where the location has the UUID; SQL counts from 1.
    place = sa.func.substr(model.provider_location, len(TAG) + 2, _UUID)
    return sa.case(
        (model.provider_location.startswith(f'{TAG}:'), place), else_='')


def chunks(ids: Collection[str]) -> Iterator[list[str]]:
    """:returns: the ids in lists short enough for one question."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start:start + CHUNK]


def pages(query: Callable[[Any], Any], key: Any, size: int = PAGE
          ) -> Iterator[Row]:
    """Go through rows by their key, a transaction for each page.

    :param query: makes the query in a session; `key` is among its columns.
    """
    last = None
    while True:
        with reading() as session:
            question = query(session)
            if last is not None:
                question = question.filter(key > last)
            rows = question.order_by(key).limit(size).all()
        yield from rows
        if len(rows) < size:
            return
        last = getattr(rows[-1], key.key)


def wanted_projects() -> frozenset[str]:
    """:returns: the projects that volume types name."""
    types = volume_types.get_all_types(cinder_context.get_admin_context())
    named = ((item.get('extra_specs') or {}).get(PROJECT_NAME)
             for item in types.values())
    return frozenset(name for name in named if name)
