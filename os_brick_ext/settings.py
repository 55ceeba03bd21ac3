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

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import os
from typing import Any

# Declares the options of os-brick that are read here.
from os_brick.initiator.connectors import lightos as _lightos  # noqa: F401
from oslo_config import cfg

from os_brick_ext import fabrics
from os_brick_ext import options

LOCK_PATH = 'lock_path'
# Where it may be set; the first that is counts.
LOCK_GROUPS = (options.GROUP, options.BRICK_GROUP, 'oslo_concurrency')
_FOLDER = 'lightos_discovery_client_dir_path'
# Around the name of what a value refers to and is not known; in no path.
_UNKNOWN = '\0'

# By section and name.
_Reader = Callable[[str, str], Any]


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
    def read(group: str, name: str) -> Any:
        return conf[group][name]

    return _settings(read, _lock_folder(read))


def discovery_folder(conf: cfg.ConfigOpts = cfg.CONF) -> str:
    """:returns: where the discovery client looks for files.

    :param conf: the service's own, or that of the privileged part.
    :raises ValueError: see :func:`_plain`.
    """
    return str(_plain(conf, options.BRICK_GROUP, _FOLDER))


def tuning(conf: cfg.ConfigOpts = cfg.CONF) -> fabrics.Tuning:
    """:returns: how the kernel is to treat connections.

    :param conf: the service's own, or that of the privileged part.
    :raises ValueError: see :func:`_plain`.
    """
    return fabrics.Tuning(*(
        _plain(conf, options.GROUP, name) for name in (
            'nr_io_queues', 'keep_alive_timeout', 'reconnect_delay',
            'ctrl_loss_timeout', 'fast_io_fail_timeout')))


class Files:
    """What configuration files say, without the service that they are of.

    Values may refer to options that only the service declares, as packages
    have ``lock_path = $state_path/tmp``. Those that the files set are known;
    what the others are by default, the service alone knows.

    :param paths: of files, and of folders with more of them, in the order in
        which the service reads them.
    :raises cfg.Error: they cannot be read.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._conf = cfg.ConfigOpts()
        declare(self._conf)
        for group in LOCK_GROUPS[1:]:
            self._conf.register_opt(cfg.StrOpt(LOCK_PATH), group=group)
        self._conf([
            f'--config-{"dir" if os.path.isdir(path) else "file"}={path}'
            for path in paths],
            default_config_files=[], default_config_dirs=[])

    def load(self, folder: str) -> Settings:
        """:returns: the options' values, but for the folder of locks.

        :param folder: that folder.
        :raises cfg.Error: a value is wrong or refers to what is not known.
        """
        return _settings(self._read, folder)

    def lock_folder(self) -> str:
        """:returns: the folder of locks; empty if nothing is said of it.

        :raises cfg.Error: what is said refers to what is not known.
        """
        return _lock_folder(self._read)

    def _read(self, group: str, name: str) -> Any:
        while True:
            try:
                value = self._conf[group][name]
            except cfg.NoSuchOptError as exc:
                self._conf.register_opt(
                    cfg.StrOpt(exc.opt_name,
                               default=f'{_UNKNOWN}{exc.opt_name}{_UNKNOWN}'),
                    group=exc.group)
            else:
                break
        if isinstance(value, str) and _UNKNOWN in value:
            raise cfg.Error(f'[{group}] {name} refers to '
                            f'{value.split(_UNKNOWN)[1]}, which is not set')
        return value


def _plain(conf: cfg.ConfigOpts, group: str, name: str) -> Any:
    """Read an option where there are no options of the service.

    The privileged part has the service's files, and reads no more of them
    than it needs.

    :raises ValueError: the value is wrong or refers to what is not known.
    """
    try:
        return conf[group][name]
    except cfg.Error as exc:
        raise ValueError(f'[{group}] {name} cannot be read: {exc}') from exc


def _settings(read: _Reader, folder: str) -> Settings:
    brick = options.BRICK_GROUP
    return Settings(
        **{opt.dest: read(options.GROUP, opt.dest) for opt in options.OPTS
           if opt.dest != LOCK_PATH},
        discovery_folder=read(brick, _FOLDER),
        discovery_address=read(brick, 'lightos_discovery_client_address'),
        discovery_port=read(brick, 'lightos_discovery_client_port'),
        lock_folder=folder)


def _lock_folder(read: _Reader) -> str:
    return next(filter(None, (
        read(group, LOCK_PATH) for group in LOCK_GROUPS)), '')
