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

"""What the tests need and releases of Cinder have in different places."""

from __future__ import annotations

import importlib
from typing import Any

from cinder.db import api as db_api
import sqlalchemy

# The tables of Cinder's database: until release 28 they were in a package
# of the one kind of database there was.
models: Any = importlib.import_module(
    'cinder.db.models' if hasattr(db_api, 'get_engine')
    else 'cinder.db.sqlalchemy.models')


def engine() -> sqlalchemy.Engine:
    """:returns: the one of Cinder's database in this process.

    Cinder 29 merged the module of SQLAlchemy into ``cinder.db.api``, which
    chose it by name before.
    """
    module = db_api if hasattr(db_api, 'get_engine') else db_api.IMPL
    found: sqlalchemy.Engine = module.get_engine()
    return found
