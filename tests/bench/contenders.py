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

"""The drivers that are measured beside each other on one cluster."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
from typing import Any
from unittest import mock

import certifi
from cinder.volume import configuration
from cinder.volume.drivers import lightos
from cinder.volume import manager
import requests.adapters

from cinder_lightbits_federation import records
from tests.bench import environment as env
from tests.bench.names import IN_TREE
from tests.bench.names import IN_TREE_VERIFYING
from tests.bench.names import OURS

_SECTION = 'lightos'


class _Unwritten(records.LocationRecord):
    """Saves nothing: what is left is the cost without the database."""

    def record(self, location: Any) -> None:
        del location


@contextlib.contextmanager
def all_of(bench: env.Environment, name: str) -> Iterator[dict[str, Any]]:
    """Drivers in front of one cluster by the names of `names`, set up.

    The in-tree driver takes no private authority: to verify, it needs the
    cluster's among those of the system, as here.

    :param name: of the cluster.
    """
    bundle = os.path.join(bench.folder, 'system-ca.pem')
    array = bench.arrays[name]
    with open(bundle, 'w', encoding='utf-8') as file:
        for path in (certifi.where(), array.ca_file):
            with open(path, encoding='utf-8') as part:
                file.write(part.read())
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(
            requests.adapters, 'DEFAULT_CA_BUNDLE_PATH', bundle))
        yield {OURS: stack.enter_context(bench.driver()),
               IN_TREE: _in_tree(bench, array, False),
               IN_TREE_VERIFYING: _in_tree(bench, array, True)}


@contextlib.contextmanager
def unsaved() -> Iterator[None]:
    """Locations are not written ahead to the database meanwhile."""
    with mock.patch.object(records, 'LocationRecord', _Unwritten):
        yield


def _in_tree(bench: env.Environment, array: Any, verify: bool) -> Any:
    address, port = array.api_endpoints[0].rsplit(':', 1)
    section = f'{_SECTION}-{verify}'
    bench.configure({section: {
        'lightos_api_address': address, 'lightos_api_port': port,
        'lightos_jwt': array.token(), 'driver_ssl_cert_verify': verify}})
    driver = lightos.LightOSVolumeDriver(
        configuration=configuration.Configuration(
            manager.volume_backend_opts, config_group=section), host=env.HOST)
    driver.do_setup(bench.context)
    return driver
