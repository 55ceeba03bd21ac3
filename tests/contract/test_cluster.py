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

"""The cluster as a whole."""

import dataclasses

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives import serialization
from oslotest import base as oslotest_base

from cinder_lightbits_federation.lightbits import client
from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.lightbits import tokens
from tests.contract import base
from tests.contract import target


class ClusterTestCase(base.ContractTestCase):

    def test_identity(self) -> None:
        info = self.client.cluster_info(self.project)
        self.assertEqual(info.uuid, self.client.uuid)
        self.assertTrue(info.subsystem_nqn.startswith('nqn.'))
        for listed in (info.api_endpoints, info.discovery_endpoints,
                       info.nvme_endpoints):
            self.assertNotEqual((), listed)
        self.assertIn(info.current_max_replicas, (1, 2, 3))

    def test_expected_identity(self) -> None:
        info = self.client.cluster_info(self.project)
        for uuid, works in ((info.uuid, True),
                            ('0fffffff-ffff-4fff-8fff-ffffffffffff', False)):
            config = dataclasses.replace(self.target.config,
                                         expected_uuid=uuid)
            other = client.LightbitsClient(
                config, tokens.StaticToken(self.target.token))
            self.addCleanup(other.close)
            if works:
                other.version(self.project)
            else:
                self.assertRaises(errors.WrongCluster, other.version,
                                  self.project)

    def test_version(self) -> None:
        self.assertEqual('v2.0', self.client.version(self.project))

    def test_nodes(self) -> None:
        nodes = self.client.nodes(self.project)
        self.assertNotEqual((), nodes)
        for node in nodes:
            self.assertIn(':', node.nvme_endpoint)
            self.assertIsNot(model.NodeState.UNKNOWN, node.state)
        self.assertEqual(len(nodes), len({node.uuid for node in nodes}))

    def test_policies(self) -> None:
        for policy in self.client.policies(self.project):
            self.assertNotEqual('', policy.name)

    def test_a_bad_token(self) -> None:
        other = client.LightbitsClient(self.target.config,
                                       tokens.StaticToken('bad.bad.bad'))
        self.addCleanup(other.close)
        self.assertRaises(errors.Unauthorized, other.version, self.project)


class SimulatedTestCase(base.ContractTestCase):
    """What needs a role in the cluster, or control of it."""

    def choose(self) -> target.Target:
        if target.real() is not None:
            self.skipTest('needs a simulated cluster')
        return target.simulated(projects=['default', 'tenant-a'])

    def setUp(self) -> None:
        super().setUp()
        assert self.target.simulated is not None
        self.cluster = self.target.simulated
        self.admin = client.LightbitsClient(
            self.target.config, tokens.StaticToken(self.cluster.token()))
        self.addCleanup(self.admin.close)

    def test_capacity(self) -> None:
        before = self.admin.cluster('system')
        self.assertEqual(self.cluster.uuid, before.info.uuid)
        self.assertEqual('3.19.2~b123', before.version)
        self.assertIs(model.HealthState.OK, before.health)
        self.volume(replicas=2)
        after = self.admin.cluster('system').statistics
        self.assertEqual(2 * base.GIB,
                         after.logical - before.statistics.logical)
        self.assertLessEqual(after.free_physical, after.effective)

    def test_a_project_may_not_read_the_cluster(self) -> None:
        self.assertRaises(errors.Forbidden, self.client.cluster,
                          self.project)

    def test_projects(self) -> None:
        names = {one.name for one in self.admin.projects('system')}
        self.assertLessEqual({'default', 'tenant-a'}, names)

    def test_projects_do_not_see_each_other(self) -> None:
        volume = self.volume()
        self.assertIsNone(self.admin.find_volume('tenant-a', volume.name))
        self.assertRaises(errors.Forbidden, self.client.get_volume,
                          'tenant-a', volume.uuid)

    def test_connected_hosts(self) -> None:
        host = 'nqn.2014-08.org.nvmexpress:uuid:1'
        volume = self.volume(acl=frozenset({host}),
                             ip_acl=frozenset({model.ALLOW_ANY}))
        self.assertEqual((), self.admin.connected_hosts('system'))
        self.cluster.connect_host(host, volume.uuid)
        found, = self.admin.connected_hosts('system', volume.uuid)
        self.assertEqual((host, (volume.uuid,)),
                         (found.nqn, found.volume_uuids))
        self.assertEqual((), self.admin.connected_hosts(
            'system', self.volume().uuid))

    def test_credentials(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        pem = key.public_key().public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo)
        self.admin.create_credential('tenant-a', 'mine', pem)
        self.assertRaises(errors.Conflict, self.admin.create_credential,
                          'tenant-a', 'mine', pem)
        found = self.admin.get_credential('tenant-a', 'mine')
        self.assertEqual(('tenant-a', 'mine', 'RS256PubKey'),
                         (found.project, found.id, found.type))
        self.assertIn(found, self.admin.list_credentials('tenant-a'))
        self.admin.delete_credential('tenant-a', 'mine')
        self.assertRaises(errors.NotFound, self.admin.get_credential,
                          'tenant-a', 'mine')

    def test_a_policy_by_uuid_and_by_name(self) -> None:
        policy = self.admin.policies('system')[0]
        for volume in (self.volume(qos_policy_uuid=policy.uuid),
                       self.volume(qos_policy_name=policy.name)):
            self.assertEqual((policy.uuid, policy.name),
                             (volume.qos_policy_uuid, volume.qos_policy_name))

    def test_placement(self) -> None:
        node = self.client.nodes(self.project)[-1]
        volume = self.volume(restrictions=(
            model.PlacementRestriction('FD', node.failure_domains[0]),))
        self.assertEqual((node.uuid,), volume.node_uuids)

    def test_a_lost_replica(self) -> None:
        volume = self.volume(replicas=3)
        self.cluster.stop_node(0)
        self.assertIs(
            model.ProtectionState.DEGRADED,
            self.client.get_volume(self.project, volume.uuid).protection)
        self.assertIn(model.NodeState.INACTIVE, {
            node.state for node in self.client.nodes(self.project)})
        self.assertEqual(2, self.client.cluster_info(
            self.project).current_max_replicas)

    def test_more_than_a_page(self) -> None:
        self.cluster.populate(2500)
        found = [one.uuid for one in self.client.list_volumes(self.project)]
        self.assertEqual((2500, 2500), (len(found), len(set(found))))


class EnvironmentTestCase(oslotest_base.BaseTestCase):
    """Naming a real cluster."""

    def test_none_is_named(self) -> None:
        self.assertIsNone(target.real({}))

    def test_named(self) -> None:
        made = target.real({
            'LIGHTBITS_CONTRACT_URL': 'https://[2001:db8::1]:8443/',
            'LIGHTBITS_CONTRACT_TOKEN': 'abc',
            'LIGHTBITS_CONTRACT_PROJECT': 'tenant-a',
            'LIGHTBITS_CONTRACT_FINGERPRINT': 'F' * 64})
        assert made is not None
        self.assertEqual(
            ('[2001:db8::1]:8443', 'tenant-a', ('f' * 64,), None),
            (str(made.config.seeds[0]), made.project,
             made.config.tls.fingerprints, made.simulated))

    def test_a_token_is_needed(self) -> None:
        error = self.assertRaises(ValueError, target.real, {
            'LIGHTBITS_CONTRACT_URL': 'https://east'})
        self.assertIn('LIGHTBITS_CONTRACT_TOKEN', str(error))
