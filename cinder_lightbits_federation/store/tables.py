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

"""The store's tables, as the newest migration leaves them.

Times are seconds since the epoch by the database's clock, or by the host's
where the database is a file. Names have a prefix, so that the tables may live
in a database with others.
"""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()
VERSIONS = 'lightbits_versions'

# More than MySQL's TEXT holds: it then takes MEDIUMTEXT.
LONG = 1 << 20
# PostgreSQL has no lengths of texts, and refuses them.
TEXT = sa.Text(LONG).with_variant(sa.Text(), 'postgresql')
SUBJECT_LENGTH = 128

JOBS = sa.Table(
    'lightbits_jobs', METADATA,
    # In the order of their making; what pages of a list go by.
    sa.Column('number', sa.Integer, primary_key=True, autoincrement=True),
    sa.Column('id', sa.String(36), nullable=False, unique=True),
    sa.Column('backend', sa.String(255), nullable=False, index=True),
    sa.Column('kind', sa.String(64), nullable=False),
    sa.Column('subject', sa.String(SUBJECT_LENGTH), nullable=False),
    # Digest of backend, kind and subject until the job has ended: of one
    # kind and subject one job at a time.
    sa.Column('active', sa.String(64), nullable=True, unique=True),
    sa.Column('state', sa.String(16), nullable=False, index=True),
    sa.Column('done', sa.BigInteger, nullable=False),
    sa.Column('total', sa.BigInteger, nullable=False),
    sa.Column('parameters', TEXT, nullable=False),
    sa.Column('checkpoint', TEXT, nullable=False),
    sa.Column('host', sa.String(255), nullable=False),
    # Another one each time that somebody takes the job.
    sa.Column('claim', sa.String(36), nullable=True),
    sa.Column('heartbeat', sa.Double, nullable=True),
    sa.Column('created', sa.Double, nullable=False),
    sa.Column('started', sa.Double, nullable=True),
    sa.Column('ended', sa.Double, nullable=True),
    sa.Column('error', TEXT, nullable=False))

STATES = sa.Table(
    'lightbits_states', METADATA,
    sa.Column('federation', sa.String(36), primary_key=True),
    sa.Column('cluster', sa.String(128), primary_key=True),
    sa.Column('state', sa.String(16), nullable=False),
    sa.Column('reason', TEXT, nullable=False),
    sa.Column('host', sa.String(255), nullable=False),
    sa.Column('since', sa.Double, nullable=False),
    sa.Column('version', sa.Integer, nullable=False))

LOST = sa.Table(
    'lightbits_lost', METADATA,
    sa.Column('federation', sa.String(36), primary_key=True),
    sa.Column('cluster', sa.String(128), primary_key=True),
    sa.Column('since', sa.Double, nullable=False))

SERVICES = sa.Table(
    'lightbits_services', METADATA,
    sa.Column('backend', sa.String(255), primary_key=True),
    sa.Column('host', sa.String(255), primary_key=True),
    sa.Column('clusters', TEXT, nullable=False),
    sa.Column('started', sa.Double, nullable=False),
    sa.Column('heartbeat', sa.Double, nullable=False))

REPORTS = sa.Table(
    'lightbits_reports', METADATA,
    sa.Column('backend', sa.String(255), primary_key=True),
    sa.Column('host', sa.String(255), primary_key=True),
    sa.Column('report', TEXT, nullable=False))

MARKS = sa.Table(
    'lightbits_marks', METADATA,
    sa.Column('federation', sa.String(36), primary_key=True),
    sa.Column('name', sa.String(128), primary_key=True),
    sa.Column('value', sa.String(255), nullable=False),
    sa.Column('reason', TEXT, nullable=False),
    sa.Column('since', sa.Double, nullable=False),
    sa.Column('version', sa.Integer, nullable=False))
