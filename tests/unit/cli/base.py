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

"""The command as an operator runs it, in this process."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from typing import Any, TextIO

from cinder_lightbits_federation.cli import main
from cinder_lightbits_federation.cli.outcome import Outcome
from tests.unit.audit import base as audit_base
from tests.unit.driver import base

DRIVER = 'cinder_lightbits_federation.driver.LightbitsFederationDriver'
GIB = base.GIB


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What a run of the command gave."""

    outcome: Outcome
    out: str
    err: str

    def json(self) -> Any:
        """:returns: what was printed with ``-f json``."""
        return json.loads(self.out)


class Terminal(io.StringIO):
    """A stream that somebody is looking at."""

    def isatty(self) -> bool:
        """It is one."""
        return True


class CliTestCase(audit_base.AuditTestCase):
    """The command over the files of the driver's service."""

    def write_config(self, clusters: Any, **backend: Any) -> str:
        """Write the files of a service, of which one is the backend's.

        Tests that have it be one of a cluster have it alone on its host.
        """
        path = super().write_config(
            clusters, volume_driver=DRIVER,
            **{'lightbits_allow_file_locks': True, **backend})
        self.service(host='stor1', enabled_backends=base.BACKEND)
        return path

    def service(self, **options: str) -> None:
        """Write the file that has the service's own options."""
        with open(self.path('service.conf'), 'w', encoding='utf-8') as file:
            file.write('[DEFAULT]\n' + ''.join(
                f'{key} = {value}\n' for key, value in options.items()))
            # A store in a file, as here, is not for services on many hosts.
            file.write(f'[{base.BACKEND}]\nlightbits_allow_file_locks = '
                       f'{"cluster" in options}\n')

    def path(self, name: str) -> str:
        """:returns: the path of a file of this test."""
        return os.path.join(self.folder, name)

    def command(self, *argv: str, stderr: TextIO | None = None,
                stdin: io.StringIO | None = None) -> Result:
        """Run the command; nobody is at the terminal."""
        out, err = io.StringIO(), stderr or io.StringIO()
        shell = main.Shell(stdout=out, stderr=err)
        shell.stdin = stdin or io.StringIO()
        try:
            code: Any = shell.run([
                '--config-file', self.path('cinder.conf'),
                '--config-file', self.path('service.conf'),
                '--timeout', '30', '--connect-timeout', '10', *argv])
        except SystemExit as exc:  # How argparse ends.
            code = exc.code
        told = err.getvalue() if isinstance(err, io.StringIO) else ''
        return Result(Outcome(code), out.getvalue(), told)

    def rows(self, *argv: str, outcome: Outcome = Outcome.CLEAN
             ) -> Any:
        """:returns: what a command prints as JSON."""
        found = self.command(*argv, '-f', 'json')
        self.assertEqual(outcome, found.outcome, found.err)
        return found.json()
