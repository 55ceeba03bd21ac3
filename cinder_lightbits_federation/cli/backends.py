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

"""Cinder's configuration as ``cinder-volume`` has it."""

from __future__ import annotations

from collections.abc import Sequence

from cinder import objects

# Modules of Cinder name its objects in annotations.
objects.register_all()

from cinder.common import config as cinder_config  # noqa: E402, F401
from cinder import version as cinder_version  # noqa: E402
from cinder.volume import configuration  # noqa: E402
from cinder.volume import driver as cinder_driver  # noqa: E402
from cinder.volume import manager as cinder_manager  # noqa: E402
from oslo_config import cfg  # noqa: E402

from cinder_lightbits_federation.cli import outcome  # noqa: E402
from cinder_lightbits_federation import driver  # noqa: E402
from cinder_lightbits_federation import options  # noqa: E402

CONF = cfg.CONF

DRIVER = (f'{driver.LightbitsFederationDriver.__module__}.'
          f'{driver.LightbitsFederationDriver.__qualname__}')


def read(files: Sequence[str], dirs: Sequence[str]) -> None:
    """Read the configuration; without files, from the service's own places.

    :raises UsageError: it cannot be read.
    """
    args = [text for path in files for text in ('--config-file', path)]
    args += [text for path in dirs for text in ('--config-dir', path)]
    try:
        # Under that name the service finds files and folders of its own.
        CONF(args, project='cinder', prog='cinder-volume',
             version=cinder_version.version_string())
    except (cfg.Error, OSError) as exc:
        raise outcome.UsageError(
            f'the configuration cannot be read: {exc}') from exc


def configuration_of(backend: str) -> configuration.Configuration:
    """:returns: the options of a backend section, its own and shared ones.

    :raises UsageError: there is no such section.
    """
    if backend not in CONF.list_all_sections():
        raise outcome.UsageError(
            f'no section [{backend}] is in '
            f'{", ".join(CONF.config_file or ()) or "any file"}')
    return _options_of(backend)


def only() -> str:
    """The backend that uses this driver.

    :raises UsageError: none does, or several do.
    """
    enabled = [str(name) for name in CONF.enabled_backends or ()]
    ours = [name for name in enabled
            if _options_of(name).safe_get('volume_driver') == DRIVER]
    if len(ours) == 1:
        return ours[0]
    if ours:
        raise outcome.UsageError(
            f'several backends use this driver ({", ".join(ours)}): choose '
            f'one with --backend')
    raise outcome.UsageError(
        f'no backend of enabled_backends ({", ".join(enabled) or "empty"}) '
        f'has volume_driver = {DRIVER}; choose one with --backend, or other '
        f'files with --config-file')


def _options_of(backend: str) -> configuration.Configuration:
    found = configuration.Configuration(
        cinder_manager.volume_backend_opts, config_group=backend)
    found.append_config_values(cinder_driver.volume_opts)
    found.append_config_values(options.backend_opts)
    return found
