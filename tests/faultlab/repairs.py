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
"""The operator's audit, told to put right what is left."""

from __future__ import annotations

from collections.abc import Sequence
import subprocess

from tests.embedded import command
from tests.embedded import invariants
from tests.stack import bed
from tests.stack import daemons
from tests.stack import settings

_PATIENCE = 180


def sizes(findings: Sequence[str]) -> list[str]:
    """Return those that are about a recorded size and nothing else.

    Cinder lets users go on with a volume whose growing was broken off: a
    detach makes it available again. A snapshot that is taken then is larger
    than its record says.
    """
    return [item for item in findings
            if invariants.Kind.WRONG_SIZE.value in item]


def audit(lab: bed.Bed) -> list[str]:
    """Run the audit that repairs; return what it has printed."""
    done = subprocess.run(
        command.federation(
            lab.stack.layout.arguments(settings.HOSTS[0]), 'audit',
            '--repair', '--yes', '--grace', '0', '--backup-dir',
            str(lab.folder / 'audit')),
        cwd=daemons.ROOT, capture_output=True, text=True, timeout=_PATIENCE,
        check=False)
    return (done.stdout + done.stderr).splitlines()
