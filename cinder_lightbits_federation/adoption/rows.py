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

"""The rows of Cinder's database that name a backend, read and rewritten."""

from __future__ import annotations

from collections.abc import Iterator
import enum
from typing import Any

from cinder import context as cinder_context
from cinder import objects
from cinder.volume import volume_types

from cinder_lightbits_federation.adoption.plan import Change
from cinder_lightbits_federation.adoption.plan import Direction
from cinder_lightbits_federation.adoption.plan import Resource
from cinder_lightbits_federation.adoption.plan import Values
from cinder_lightbits_federation.audit.books import AT_REST
from cinder_lightbits_federation.audit.books import IN_ERROR
from cinder_lightbits_federation.audit.books import NOT_MIGRATING
from cinder_lightbits_federation import cinderdb

Row = Any

TABLES = {Resource.VOLUME: 'Volume', Resource.SNAPSHOT: 'Snapshot',
          Resource.GROUP: 'Group',
          Resource.CACHE_ENTRY: 'ImageVolumeCacheEntry',
          Resource.TYPE_SPEC: 'VolumeTypeExtraSpecs'}

BACKEND_NAME = 'volume_backend_name'


class Outcome(enum.Enum):
    """What became of one change.

    A row that is busy is as it was found, and another attempt may do; one
    that was changed or is gone is none of this adoption any more.
    """

    DONE = 'done'
    ALREADY = 'was done'
    GONE = 'is gone'
    CHANGED = 'changed meanwhile'
    BUSY = 'in use'


def of_host(model: Any, host: str) -> Any:
    """:returns: the condition that a row belongs to a backend."""
    return cinderdb.of_backend(model, host, host)


def volumes(host: str) -> dict[str, Row]:
    """:returns: the columns of a backend's volumes, by ID."""
    model = cinderdb.model_of(TABLES[Resource.VOLUME])
    return {row.id: row for row in cinderdb.pages(
        lambda session: session.query(
            model.id, model.host, model.cluster_name,
            model.provider_location, model.provider_id,
            model.volume_type_id).filter(
                of_host(model, host), model.deleted.is_(False)), model.id)}


def snapshots(host: str) -> dict[str, Row]:
    """:returns: the columns of its snapshots, by ID."""
    volume = cinderdb.model_of(TABLES[Resource.VOLUME])
    model = cinderdb.model_of(TABLES[Resource.SNAPSHOT])
    return {row.id: row for row in cinderdb.pages(
        lambda session: session.query(
            model.id, model.provider_location, model.provider_id).filter(
                of_host(volume, host), model.deleted.is_(False)).join(
                    volume, volume.id == model.volume_id), model.id)}


def groups(host: str) -> Iterator[Row]:
    """:returns: its groups."""
    model = cinderdb.model_of(TABLES[Resource.GROUP])
    return cinderdb.pages(
        lambda session: session.query(
            model.id, model.name, model.host, model.cluster_name).filter(
                of_host(model, host), model.deleted.is_(False)), model.id)


def cache_entries(host: str) -> Iterator[Row]:
    """:returns: its entries of the image cache."""
    model = cinderdb.model_of(TABLES[Resource.CACHE_ENTRY])
    return cinderdb.pages(
        lambda session: session.query(
            model.id, model.volume_id, model.host,
            model.cluster_name).filter(of_host(model, host)), model.id)


def backend_specs() -> Iterator[Row]:
    """:returns: the extra specs that name a backend, of all types."""
    model = cinderdb.model_of(TABLES[Resource.TYPE_SPEC])
    return cinderdb.pages(
        lambda session: session.query(
            model.id, model.volume_type_id, model.value).filter(
                model.key == BACKEND_NAME, model.deleted.is_(False)),
        model.id)


def types() -> dict[str, dict[str, Any]]:
    """:returns: all volume types by ID."""
    found = volume_types.get_all_types(cinder_context.get_admin_context())
    return {item['id']: item for item in found.values()}


def services_up(host: str) -> list[str]:
    """:returns: the volume services of a backend that live."""
    services = objects.ServiceList.get_all_by_binary(
        cinder_context.get_admin_context(), 'cinder-volume')
    return [item.host for item in services if item.is_up
            and host in (item.host, item.cluster_name)]


def apply(change: Change, direction: Direction) -> Outcome:
    """Rewrite a row, if it is as it was found and nobody works on it.

    The times of rows stay as they are. Idempotent.
    """
    start, end = change.ends(direction)
    model = cinderdb.model_of(TABLES[change.resource])
    alive = [model.id == change.id]
    if hasattr(model, 'deleted'):
        alive.append(model.deleted.is_(False))
    with cinderdb.writing() as session:
        changed = session.query(model).filter(
            *alive, *_are(model, start), *_at_rest(model, change.resource)
        ).update({**end, **_untouched(model)}, synchronize_session=False)
    if changed:
        return Outcome.DONE
    found = current(change)
    if found is None:
        return Outcome.GONE
    if found == dict(end):
        return Outcome.ALREADY
    return Outcome.BUSY if found == dict(start) else Outcome.CHANGED


def current(change: Change) -> dict[str, str | None] | None:
    """:returns: the columns of a row as they are now, None if it is gone."""
    model = cinderdb.model_of(TABLES[change.resource])
    columns = list(change.before)
    with cinderdb.reading() as session:
        question = session.query(
            *(getattr(model, name) for name in columns)).filter(
                model.id == change.id)
        if hasattr(model, 'deleted'):
            question = question.filter(model.deleted.is_(False))
        row = question.first()
    return None if row is None else dict(zip(columns, row, strict=True))


def _are(model: Any, values: Values) -> list[Any]:
    return [getattr(model, name) == value if value is not None
            else getattr(model, name).is_(None)
            for name, value in values.items()]


def _at_rest(model: Any, resource: Resource) -> list[Any]:
    if resource is Resource.VOLUME:
        return [model.status.in_(AT_REST | IN_ERROR),
                model.migration_status.is_(None)
                | model.migration_status.in_(NOT_MIGRATING)]
    if resource is Resource.SNAPSHOT:
        return [model.status.in_({'available', *IN_ERROR})]
    return []


def _untouched(model: Any) -> dict[str, Any]:
    """The time of the last change, which would be set otherwise."""
    if not hasattr(model, 'updated_at'):
        return {}
    return {'updated_at': model.updated_at}
