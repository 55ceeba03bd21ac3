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

"""The options as values, read once."""

from __future__ import annotations

import dataclasses

# Declares the options of os-brick that are read here.
from os_brick.initiator.connectors import lightos as _lightos  # noqa: F401
from oslo_config import cfg

from os_brick_ext import options

LOCK_PATH = 'lock_path'
# Where it may be set; the first that is counts.
LOCK_GROUPS = (options.GROUP, options.BRICK_GROUP, 'oslo_concurrency')


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What an operator can choose; see the options of the same names.

    :param discovery_folder: where the discovery client looks for files.
    :param discovery_address: where the discovery client answers.
    :param discovery_port: its TCP port.
    :param lock_folder: of the locks that all services of a host share; empty
        if none is configured.
    """

    mode: str
    connect_timeout: float
    early_failure_timeout: float
    extend_timeout: float
    disconnect_timeout: float
    flush_timeout: float
    probe_timeout: float
    nr_io_queues: int
    keep_alive_timeout: int
    reconnect_delay: int
    ctrl_loss_timeout: int
    fast_io_fail_timeout: int
    discovery_folder: str
    discovery_address: str
    discovery_port: int
    lock_folder: str


def declare(conf: cfg.ConfigOpts) -> None:
    """Give `conf` our options, and those that os-brick's section lacks.

    Idempotent. Releases of os-brick before 7.0 declare fewer.
    """
    conf.register_opts(options.OPTS, group=options.GROUP)
    for opt in options.BRICK_OPTS:
        if (options.BRICK_GROUP not in conf
                or opt.dest not in conf[options.BRICK_GROUP]):
            conf.register_opt(opt, group=options.BRICK_GROUP)


# At import, as os-brick does with its own.
declare(cfg.CONF)


def load(conf: cfg.ConfigOpts = cfg.CONF) -> Settings:
    """:returns: the options' values as they are now.

    :param conf: the service's own; :func:`declare` has been done.
    """
    own = conf[options.GROUP]
    return Settings(
        **{opt.dest: own[opt.dest] for opt in options.OPTS
           if opt.dest != LOCK_PATH},
        discovery_folder=conf.os_brick.lightos_discovery_client_dir_path,
        discovery_address=conf.os_brick.lightos_discovery_client_address,
        discovery_port=conf.os_brick.lightos_discovery_client_port,
        lock_folder=_lock_folder(conf))


def lock_folder(path: str) -> str:
    """:returns: the folder of locks by one configuration file alone.

    Empty if it says nothing of it.

    :param path: of the file.
    :raises cfg.Error: it cannot be read.
    """
    conf = cfg.ConfigOpts()
    for group in LOCK_GROUPS:
        conf.register_opt(cfg.StrOpt(LOCK_PATH), group=group)
    conf([], default_config_files=[path], default_config_dirs=[])
    return _lock_folder(conf)


def _lock_folder(conf: cfg.ConfigOpts) -> str:
    return next(filter(None, (
        conf[group][LOCK_PATH] for group in LOCK_GROUPS)), '')
