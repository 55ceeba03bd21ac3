#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""Cinder's own services in the calling process.

Import this only after Cinder's monkey patching has been decided.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import logging as python_logging
import shlex
import time
from typing import Any

from cinder import context
from cinder import coordination
from cinder import i18n

i18n.enable_lazy()

from cinder.cmd import volume as volume_command  # noqa: E402
from cinder.common import config as cinder_config  # noqa: E402
from cinder.db import migration  # noqa: E402
from cinder import objects  # noqa: E402
from cinder import rpc  # noqa: E402
from cinder import service  # noqa: E402
from cinder import utils  # noqa: E402
from cinder import version  # noqa: E402
import os_brick  # noqa: E402
from oslo_config import cfg  # noqa: E402
from oslo_log import log as logging  # noqa: E402
from oslo_privsep import priv_context  # noqa: E402
from oslo_service import wsgi as oslo_wsgi  # noqa: E402

from tests.embedded import settings  # noqa: E402
from tests.embedded import sqlite  # noqa: E402
from tests.embedded import wsgi  # noqa: E402
from tests import releases  # noqa: E402

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

API = 'api'
SCHEDULER = 'scheduler'
VOLUME = 'volume'
BACKUP = 'backup'
ALL = (API, SCHEDULER, VOLUME)
EVERY = (*ALL, BACKUP)


class _Service(service.Service):  # type: ignore[misc]
    """A service that reports under its own record.

    Cinder keeps the record's number in a class attribute because each of its
    processes runs one service; with two of them the first would look down.
    """

    def report_state(self) -> None:
        """Say that this service lives, if its driver does."""
        if self.manager.is_working():
            record = objects.Service.get_by_id(
                context.get_admin_context(), self.origin_service_id)
            record.report_count += 1
            record.save()


@dataclasses.dataclass(slots=True)
class Running:
    """The services of this process."""

    services: list[_Service]
    api: wsgi.ApiServer | None

    def stop(self) -> None:
        """Stop in the order a client would want: no new work first."""
        if self.api is not None:
            self.api.stop()
        for running in reversed(self.services):
            running.stop()
        for running in reversed(self.services):
            running.wait()
        coordination.COORDINATOR.stop()
        rpc.cleanup()


def configure(layout: settings.Layout) -> None:
    """Read the configuration as Cinder's commands do and set up logging."""
    objects.register_all()
    CONF(['--config-file', str(layout.base_config),
          '--config-file', str(layout.config),
          '--config-dir', str(layout.config_dir)],
         project='cinder', version=version.version_string())
    cinder_config.set_middleware_defaults()
    logging.setup(CONF, 'cinder')
    python_logging.captureWarnings(True)
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    os_brick.setup(CONF)


def start(kinds: collections.abc.Collection[str]) -> Running:
    """Create the database if needed and start the services named.

    The volume services come first, so that the scheduler's question for
    their capabilities at its own start finds somebody to answer.

    :param kinds: out of :data:`EVERY`.
    """
    sqlite.serialise(releases.engine())
    migration.db_sync()
    coordination.COORDINATOR.start()
    rpc.init(CONF)
    started: list[_Service] = []
    if VOLUME in kinds:
        started += [_volume(name) for name in CONF.enabled_backends or ()]
    if BACKUP in kinds:
        started.append(_backup())
    if SCHEDULER in kinds:
        started.append(_Service.create(binary='cinder-scheduler'))
    for created in started:
        begin = time.monotonic()
        created.start()
        LOG.info('%s started in %.2f s', created.binary,
                 time.monotonic() - begin)
    # Work in progress is noted under this number, so that after a crash the
    # service that starts next under it finds what to clean up: it must be
    # the volume service's.
    for created in started[:1]:
        service.Service.service_id = created.origin_service_id
    api = _api() if API in kinds else None
    return Running(started, api)


def reload_configuration() -> None:
    """Do what a Cinder service does on SIGHUP."""
    CONF.mutate_config_files()


def _volume(backend: str) -> _Service:
    CONF.register_opt(volume_command.host_opt, group=backend)
    host = f'{CONF[backend].backend_host or CONF.host}@{backend}'
    cluster = f'{CONF.cluster}@{backend}' if CONF.cluster else None
    created: Any = _Service.create(
        host=host, service_name=backend, binary='cinder-volume',
        coordination=True, cluster=cluster)
    assert isinstance(created, _Service)
    return created


def _backup() -> _Service:
    created: Any = _Service.create(
        binary='cinder-backup', coordination=True, service_name='backup',
        process_number=1, semaphore=utils.semaphore_factory(0, 1))
    assert isinstance(created, _Service)
    return created


def _api() -> wsgi.ApiServer:
    app = oslo_wsgi.Loader(CONF).load_app('osapi_volume')
    server = wsgi.ApiServer(app, CONF.osapi_volume_listen)
    server.start()
    return server
