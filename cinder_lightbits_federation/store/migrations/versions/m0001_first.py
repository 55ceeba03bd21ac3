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

"""Jobs, states of clusters, and what services know."""

from __future__ import annotations

from alembic import op
import sqlalchemy as sa

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None

LONG = 1 << 20
# PostgreSQL has no lengths of texts, and refuses them.
TEXT = sa.Text(LONG).with_variant(sa.Text(), 'postgresql')


def upgrade() -> None:
    """Make the tables.

    Where the change of a schema cannot be taken back, a service that dies
    halfway leaves some of them; the next one makes the rest.
    """
    op.create_table(
        'lightbits_jobs',
        sa.Column('number', sa.Integer, primary_key=True,
                  autoincrement=True),
        sa.Column('id', sa.String(36), nullable=False, unique=True),
        sa.Column('backend', sa.String(255), nullable=False),
        sa.Column('kind', sa.String(64), nullable=False),
        sa.Column('subject', sa.String(128), nullable=False),
        sa.Column('active', sa.String(64), nullable=True, unique=True),
        sa.Column('state', sa.String(16), nullable=False),
        sa.Column('done', sa.BigInteger, nullable=False),
        sa.Column('total', sa.BigInteger, nullable=False),
        sa.Column('parameters', TEXT, nullable=False),
        sa.Column('checkpoint', TEXT, nullable=False),
        sa.Column('host', sa.String(255), nullable=False),
        sa.Column('claim', sa.String(36), nullable=True),
        sa.Column('heartbeat', sa.Double, nullable=True),
        sa.Column('created', sa.Double, nullable=False),
        sa.Column('started', sa.Double, nullable=True),
        sa.Column('ended', sa.Double, nullable=True),
        sa.Column('error', TEXT, nullable=False),
        if_not_exists=True)
    _make_index('lightbits_jobs', 'backend')
    _make_index('lightbits_jobs', 'state')
    op.create_table(
        'lightbits_states',
        sa.Column('federation', sa.String(36), primary_key=True),
        sa.Column('cluster', sa.String(128), primary_key=True),
        sa.Column('state', sa.String(16), nullable=False),
        sa.Column('reason', TEXT, nullable=False),
        sa.Column('host', sa.String(255), nullable=False),
        sa.Column('since', sa.Double, nullable=False),
        sa.Column('version', sa.Integer, nullable=False),
        if_not_exists=True)
    op.create_table(
        'lightbits_lost',
        sa.Column('federation', sa.String(36), primary_key=True),
        sa.Column('cluster', sa.String(128), primary_key=True),
        sa.Column('since', sa.Double, nullable=False),
        if_not_exists=True)
    op.create_table(
        'lightbits_services',
        sa.Column('backend', sa.String(255), primary_key=True),
        sa.Column('host', sa.String(255), primary_key=True),
        sa.Column('clusters', TEXT, nullable=False),
        sa.Column('started', sa.Double, nullable=False),
        sa.Column('heartbeat', sa.Double, nullable=False),
        if_not_exists=True)
    op.create_table(
        'lightbits_reports',
        sa.Column('backend', sa.String(255), primary_key=True),
        sa.Column('host', sa.String(255), primary_key=True),
        sa.Column('report', TEXT, nullable=False),
        if_not_exists=True)
    op.create_table(
        'lightbits_marks',
        sa.Column('federation', sa.String(36), primary_key=True),
        sa.Column('name', sa.String(128), primary_key=True),
        sa.Column('value', sa.String(255), nullable=False),
        sa.Column('reason', TEXT, nullable=False),
        sa.Column('since', sa.Double, nullable=False),
        sa.Column('version', sa.Integer, nullable=False),
        if_not_exists=True)


def _make_index(table: str, column: str) -> None:
    """Make an index unless it is there: not all databases can say so."""
    name = op.f(f'ix_{table}_{column}')
    found = sa.inspect(op.get_bind()).get_indexes(table)
    if name not in {item['name'] for item in found}:
        op.create_index(name, table, [column])


def downgrade() -> None:
    """Remove the tables."""
    for name in ('marks', 'reports', 'services', 'lost', 'states', 'jobs'):
        op.drop_table(f'lightbits_{name}')
