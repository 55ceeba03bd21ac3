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

"""One of several services that share a backend."""

from typing import Any

from oslo_config import cfg

from cinder_lightbits_federation import exception as lb_exception
from cinder_lightbits_federation import records
from tests.unit.driver import base

CONF = cfg.CONF

CLUSTER = f'stor@{base.BACKEND}'
OTHER_HOST = f'stor2@{base.BACKEND}'


class LocksTestCase(base.FederationTestCase):
    """The locks of a cluster must be seen by all its hosts."""

    NODES = 1
    CLUSTERS = ('east',)

    def clustered(self, url: str, **backend: Any) -> Any:
        """Build a driver of a cluster whose locks are at `url`."""
        drv = self.build_driver(cluster_name=CLUSTER, **backend)
        CONF.set_override('backend_url', url, 'coordination')
        self.addCleanup(drv.tear_down)
        return drv

    def test_locks_of_one_host_are_refused(self) -> None:
        for url in ('file:///var/lib/cinder', 'ipc://', 'zake://'):
            drv = self.clustered(url)
            error = self.assertRaises(
                lb_exception.LightbitsConfigurationError, drv.do_setup,
                self.context)
            self.assertIn('[coordination] backend_url', str(error))
            self.assertIn('lightbits_allow_file_locks', str(error))

    def test_the_default_is_refused(self) -> None:
        drv = self.clustered('')
        CONF.clear_override('backend_url', 'coordination')

        error = self.assertRaises(
            lb_exception.LightbitsConfigurationError, drv.do_setup,
            self.context)

        self.assertIn('file:// locks', str(error))

    def test_they_are_accepted_when_that_is_said(self) -> None:
        log = self.logged()
        drv = self.clustered('file:///var/lib/cinder',
                             lightbits_allow_file_locks=True)

        drv.do_setup(self.context)

        self.assertIn('WARNING [coordination] backend_url: file:// locks',
                      log.output)
        self.made(drv)

    def test_locks_of_all_hosts_are_accepted(self) -> None:
        log = self.logged()
        for url in ('etcd3+https://192.0.2.1:2379?timeout=30',
                    'redis://:password@192.0.2.1', 'kazoo://192.0.2.1'):
            self.clustered(url, lightbits_allow_file_locks=True).do_setup(
                self.context)
        self.assertNotIn('backend_url', log.output)
        self.assertNotIn('password', log.output)

    def test_a_service_of_its_own_may_have_any(self) -> None:
        self.made(self.start_driver())


class RecordsTestCase(base.FederationTestCase):
    """What belongs to the backend, whichever host has made it."""

    NODES = 1
    CLUSTERS = ('east',)

    def test_volumes_of_all_hosts_are_listed(self) -> None:
        drv = self.start_driver()
        uuid = self.arrays['east'].uuid
        shared = [self.made(drv, host=f'{host}#federation',
                            cluster_name=f'{CLUSTER}#federation').id
                  for host in (base.HOST, OTHER_HOST)]
        alone = self.made(drv).id

        self.assertEqual(
            sorted(shared),
            sorted(records.volumes_on(base.HOST, CLUSTER, uuid)))
        self.assertEqual(
            sorted([shared[0], alone]),
            sorted(records.volumes_on(base.HOST, None, uuid)))
        self.assertEqual(
            [], records.volumes_on(base.HOST, CLUSTER, base.FEDERATION_ID))
