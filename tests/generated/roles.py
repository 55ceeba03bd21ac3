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

"""What each command of the operator needs, from the one table."""

from __future__ import annotations

from collections.abc import Iterator

from cinder_lightbits_federation.cli import roles

TITLE = 'What each command needs'
HEADER = ('Command', 'Role at clusters', 'With more rights', 'Files',
          "Cinder's database", "The services' own")
WIDTHS = (18, 14, 20, 20, 14, 14)
INTRO = ('The role is what the token of a cluster must have for the command '
         'to work. Every command but ``credential create`` reads the '
         'configuration, so it runs as a user who can read that and the '
         'files of tokens and keys. Whoever asks a cluster goes by the states '
         'that were set at run time, so reads the database of the services '
         '(``lightbits_store_connection``) as well.')


def rows() -> Iterator[tuple[str, ...]]:
    """:returns: the rows of the table."""
    for command, needs in sorted(roles.NEEDS.items()):
        yield (f'``{command}``', needs.role.value, needs.better or '-',
               needs.files, needs.database, needs.store)
