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

"""The operator's command, as a process of its own."""

from __future__ import annotations

from collections.abc import Iterable
import sys

# Prepares nothing beforehand, as its entry point does not either.
_MAIN = ('import sys; from cinder_lightbits_federation.cli.main import main; '
         'sys.exit(main())')
_TABLES = (
    'import sys; from cinder import objects; objects.register_all(); '
    'from cinder.db import migration; from oslo_config import cfg; '
    'cfg.CONF(sys.argv[1:], project="cinder"); migration.db_sync()')


def federation(config: Iterable[str], *argv: str) -> list[str]:
    """How to run ``lightbits-federation``.

    :param config: arguments that tell where the configuration is.
    """
    return [*_python(_MAIN), *config, *argv]


def tables(config: Iterable[str]) -> list[str]:
    """How to make Cinder's tables in the database of a configuration."""
    return [*_python(_TABLES), *config]


def _python(code: str) -> list[str]:
    return [sys.executable, '-W', 'ignore', '-c', code]
