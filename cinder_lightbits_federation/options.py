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

"""Every option of the driver; sample and documentation come from here."""

from __future__ import annotations

from collections.abc import Sequence

from oslo_config import cfg
from oslo_config import types

CLUSTER_PREFIX = 'lightbits_cluster:'

ADMIN_STATES = [
    ('enabled', 'The cluster takes new volumes.'),
    ('disabled', 'No new volumes; everything else works.'),
    ('draining', 'No new volumes; volumes are to be moved away.'),
    ('lost', 'The cluster will not come back: it is never asked, and an '
             'object that may only be there counts as not found.'),
]

backend_opts = [
    cfg.ListOpt(
        'lightbits_clusters',
        help='Names of the clusters of this backend; each has a section '
             '[lightbits_cluster:NAME]. When it is not set, every such '
             'section belongs to this backend, or those whose "backends" '
             'option names it.'),
    cfg.StrOpt(
        'lightbits_federation_id',
        help='UUID that marks the objects of this cloud on clusters that '
             'others use too. Choose it once per cloud (uuidgen) and never '
             'change it. Required when the service is clustered.'),
    cfg.StrOpt(
        'lightbits_project', default='default',
        help='Project for volumes whose type does not name one with '
             'lightos:project_name.'),
    cfg.IntOpt(
        'lightbits_default_num_replicas', default=3, min=1, max=3,
        help='Replicas of a volume whose type does not set '
             'lightos:num_replicas. Capacity is reported at this count.'),
    cfg.BoolOpt(
        'lightbits_default_compression', default=False,
        help='Compress volumes whose type does not set compression.'),
    cfg.BoolOpt(
        'lightbits_use_ip_acl', default=True,
        help="Admit a host to a volume by its addresses too, beside its "
             "NQN. When off, the volume's IP ACL is ALLOW_ANY while a host "
             "is attached."),
    cfg.ListOpt(
        'lightbits_data_networks', default=[],
        help='Networks (CIDR) that carry NVMe/TCP. Only host addresses '
             'inside them enter the IP ACL, which holds at most 16. Empty: '
             "all of a host's addresses do."),
    cfg.FloatOpt(
        'lightbits_api_timeout', default=10, min=1, max=600,
        help='Seconds one call to a cluster may take, over all its API '
             'endpoints. Must stay below rpc_response_timeout.'),
    cfg.FloatOpt(
        'lightbits_connect_timeout', default=3, min=0.1, max=60,
        help='Seconds to wait for a connection to one API endpoint.'),
    cfg.FloatOpt(
        'lightbits_operation_timeout', default=50, min=5, max=3600,
        help='Seconds an operation may take in all, waiting for the cluster '
             'to finish included. Must stay below rpc_response_timeout.'),
    cfg.FloatOpt(
        'lightbits_poll_interval', default=15, min=1, max=600,
        help="Seconds between two looks at a cluster's state and capacity."),
    cfg.StrOpt(
        'lightbits_pools', default='federation',
        choices=[
            ('federation', 'One pool; the driver chooses the cluster.'),
            ('cluster', 'A pool per cluster; the scheduler chooses.')],
        help='What Cinder sees as pools.'),
    cfg.IntOpt(
        'lightbits_max_create_share', default=50, min=1, max=100,
        help='Most percent of recent creates that one cluster takes while '
             'others can. Keeps a new, empty cluster from taking all. With '
             'two clusters at least 90 and with three at least 60 is '
             'allowed, or it would hardly ever catch up.'),
    cfg.IntOpt(
        'lightbits_copy_rate', default=200, min=0,
        help='Most MiB per second that one copy of a volume between '
             'clusters reads and writes. 0: as fast as it goes.'),
    cfg.IntOpt(
        'lightbits_copy_jobs_per_cluster', default=2, min=1, max=64,
        help='Copies that read from or write to one cluster at a time, on '
             'all hosts together. Further ones wait.'),
    cfg.BoolOpt(
        'lightbits_copy_verify', default=False,
        help='Read back what a copy has written and compare it with the '
             'source. Halves the speed, at least.'),
    cfg.BoolOpt(
        'lightbits_cross_cluster_clones', default=False,
        help='Copy the data when lightos:cluster in the type of a new clone '
             'asks for another cluster than that of its source. When off, '
             'such a clone is refused.'),
    cfg.BoolOpt(
        'lightbits_golden_images', default=False,
        help='Keep a hidden master of each image on each cluster that '
             'volumes of it are placed on, and clone further volumes from '
             "it. Replaces Cinder's image-volume cache, which is to be off: "
             'image_volume_cache_enabled.'),
    cfg.IntOpt(
        'lightbits_golden_image_limit', default=20, min=1, max=1000,
        help='Masters on one cluster. Beyond that, those that nobody has '
             'used for longest are removed.'),
    cfg.IntOpt(
        'lightbits_golden_image_max_idle', default=30, min=1, max=3650,
        help='Days after which a master that nobody uses is removed.'),
    cfg.FloatOpt(
        'lightbits_golden_image_patience', default=600, min=0, max=86400,
        help='Seconds to wait while another volume of the same image is '
             'filled on the same cluster, before the image is downloaded '
             'once more.'),
    cfg.BoolOpt(
        'lightbits_golden_image_copies', default=False,
        help='Copy the master of an image from another cluster that has '
             'one, instead of downloading the image once more. Takes the '
             'same privileges as other copies between clusters, and falls '
             'back to the download.'),
    cfg.BoolOpt(
        'lightbits_retype_by_copy', default=False,
        help='Let a retype that needs another cluster or replica count copy '
             'a detached volume without snapshots there, instead of leaving '
             'that to a migration by Cinder. It then happens with '
             '--migration-policy never too, which drivers are not told.'),
    cfg.BoolOpt(
        'lightbits_use_os_brick_ext', default=False,
        help='Attach volumes to this host, such as to copy them, with the '
             'connector of os_brick_ext instead of that of os-brick. Holds '
             'for all volumes with protocol lightos in the process of the '
             'backend. A change needs a restart.'),
    cfg.BoolOpt(
        'lightbits_allow_file_locks', default=False,
        help='Let a clustered service start although [coordination] '
             'backend_url names locks that only this host sees, such as '
             'file://. Right only while all services of the cluster run on '
             'one host and share them.'),
    cfg.StrOpt(
        'lightbits_os_cloud',
        help='Cloud of clouds.yaml by which this service asks Cinder to move '
             'volumes, and to take over thick clones, as an administrator. '
             'Cinder has 60 seconds for an answer, or as many as api_timeout '
             'in clouds.yaml says. '
             'Without it drains and rebalances are done by the command that '
             'asks for them, and only there, and thick clones stay without '
             'Cinder. A change needs a restart.'),
    cfg.StrOpt(
        'lightbits_store_connection', secret=True,
        help='Database that all services of the backend share, for jobs and '
             'for states of clusters set at run time, such as '
             'mysql+pymysql://user:password@host/name or '
             'postgresql+psycopg2://user:password@host/name. Default: the '
             'SQLite file lightbits-federation.sqlite in state_path, which '
             'is refused when the service is clustered. A change needs a '
             'restart.'),
]

cluster_opts = [
    cfg.ListOpt(
        'api_endpoints', default=[],
        help='API endpoints of the cluster, host:port (port 443 when left '
             'out, IPv6 in brackets). One is enough to start from: the '
             'others are learned from the cluster.'),
    cfg.StrOpt(
        'cluster_uuid',
        help='UUID the cluster must have. When it is not set, the UUID of '
             'the first contact is held on to until the service restarts.'),
    cfg.ListOpt(
        'backends', default=[],
        help='Backends (sections) this cluster belongs to. Empty: all that '
             'do not set lightbits_clusters.'),
    cfg.DictOpt(
        'project_map', default={},
        help='Names of projects on this cluster where they differ, as '
             'name-in-cinder:name-on-cluster pairs.'),
    cfg.StrOpt(
        'jwt', secret=True,
        help='Token for the API. Better: jwt_file, or a key.'),
    cfg.StrOpt(
        'jwt_file',
        help='File with the token; it is read again when it changes.'),
    cfg.StrOpt(
        'credential_id',
        help='Id of the public key that was uploaded to the cluster. With '
             'private_key_file, tokens of 10 minutes are minted.'),
    cfg.StrOpt(
        'private_key_file',
        help='RSA private key (PEM) that belongs to credential_id.'),
    cfg.StrOpt(
        'token_scope', default='project',
        choices=[
            ('project', 'Tokens of one project each; no cluster rights.'),
            ('system', 'One token with rights on the whole cluster.')],
        help='Scope of minted tokens, which is where the key was uploaded.'),
    cfg.IntOpt(
        'credential_lifetime', default=365, min=0, max=36500,
        help='Days after which the key in private_key_file is to be '
             'replaced; a warning is logged 30 days before. 0: never.'),
    cfg.StrOpt(
        'tls_ca_file',
        help="CA certificate(s) (PEM) that signed the cluster's API "
             "certificate. Default: driver_ssl_cert_path of the backend, "
             "else the system's CAs."),
    cfg.StrOpt(
        'tls_server_name',
        help='Name to expect in the certificate instead of the address. '
             "The stock certificate of a cluster is named api.service."),
    cfg.ListOpt(
        'tls_fingerprints', default=[],
        help='SHA-256 fingerprints of API certificates, instead of a CA. '
             'Several allow a roll-over.'),
    cfg.BoolOpt(
        'tls_insecure', default=False,
        help='Do not verify the certificate. Whoever is between can read '
             'and change everything; never in production.'),
    cfg.StrOpt(
        'admin_state', default='enabled', choices=ADMIN_STATES,
        help='What the cluster may be used for.'),
    cfg.BoolOpt(
        'learn_endpoints', default=True,
        help='Use the API endpoints that the cluster itself lists, beside '
             'api_endpoints. Turn off behind NAT or a virtual address.'),
    cfg.ListOpt(
        'endpoint_networks', default=[], item_type=types.String(),
        help='Networks (CIDR) learned endpoints must be in. Empty: any.'),
]


def list_opts() -> list[tuple[str, Sequence[cfg.Opt]]]:
    """:returns: (section, options) for the sample configuration."""
    return [('lightbits-federation', backend_opts),
            (CLUSTER_PREFIX + 'east', cluster_opts)]
