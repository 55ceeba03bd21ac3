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

"""Where the store is, by the configuration."""

from __future__ import annotations

import logging
import os
from typing import Any, Protocol

import sqlalchemy as sa

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.store import engine

LOG = logging.getLogger(__name__)

OPTION = 'lightbits_store_connection'
FILE = 'lightbits-federation.sqlite'


class Backend(Protocol):
    """Cinder's configuration of one backend section."""

    def safe_get(self, value: str) -> Any:
        """:returns: an option's value, None when there is no such option."""


def url_of(backend: Backend, section: str, state_path: str, clustered: bool
           ) -> sa.URL:
    """Read where the store of a backend is.

    :param section: name of the backend section.
    :param state_path: folder for the file, without the option.
    :param clustered: whether several services serve this backend.
    :raises InvalidSetting: it cannot be used, or is a file that services on
        other hosts would not see.
    """
    given = backend.safe_get(OPTION)
    text = given or f'sqlite:///{os.path.join(state_path, FILE)}'
    try:
        url = engine.parse(text)
    except ValueError as exc:
        raise errors.InvalidSetting(section, OPTION, str(exc)) from None
    if clustered and engine.is_file(url):
        _check_file(backend, section, url)
    return url


def _check_file(backend: Backend, section: str, url: sa.URL) -> None:
    told = (f'the file {url.database} is seen by this host only, and this '
            f'service is one of a cluster')
    if not backend.safe_get('lightbits_allow_file_locks'):
        raise errors.InvalidSetting(
            section, OPTION,
            f'{told}: name a MariaDB, MySQL or PostgreSQL database (or set '
            f'lightbits_allow_file_locks if no service of the cluster runs '
            f'on another host)')
    LOG.warning('[%s] %s: %s. lightbits_allow_file_locks accepts that; all '
                'services must have the same file.', section, OPTION, told)
