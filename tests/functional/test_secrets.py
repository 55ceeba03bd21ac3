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

"""No secret is in a log, whatever is logged and whatever goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.embedded import federation
from tests.embedded import invariants
from tests.functional import base
from tests.functional import test_lifecycle

MAIN = """\
import json, sys
from cinder_lightbits_federation.cli.main import main
sys.exit(max(main(argv) for argv in json.loads(sys.argv[1])))
"""
# Every logger of every library, at the lowest level.
EVERYTHING = """\
[DEFAULT]
debug = True
default_log_levels = root=DEBUG
"""


class EverythingLoggedTest(test_lifecycle.ThreeClusters):

    def start(self, sections: Any = None, backend: Any = None) -> Any:
        """Have the service log all there is."""
        folder = self.folder / 'cinder' / 'cinder.conf.d'
        folder.mkdir(parents=True)
        (folder / 'logging.conf').write_text(EVERYTHING)
        return super().start(sections, backend)

    def test_a_full_life(self) -> None:
        """Also where clusters fail, refuse, and present another token."""
        volume = self.create(self.sdk)
        attachment = self.sdk.create_attachment(volume.id,
                                                connector=base.CONNECTOR)
        self.sdk.complete_attachment(attachment)
        for cluster in self.clusters.values():
            for kind, params in (('status', {'status': 500}),
                                 ('status', {'status': 401}),
                                 ('apply_then_drop', {}),
                                 ('wrong_json', {})):
                cluster.fault(kind, count=1, **params)
        other = self.sdk.create_volume(size=1)
        self.wait(lambda: self.sdk.get_volume(other.id).status
                  not in ('creating',), 'the second volume')
        for cluster in self.clusters.values():
            cluster.clear_faults()
        self.sdk.delete_attachment(attachment.id)
        self.delete(self.sdk, volume, other)

        texts = {'cinder.log': self.cloud.log(),
                 'process.log': self.cloud.layout.output.read_text(),
                 **self.commands()}

        self.assertIn('DEBUG urllib3.connectionpool', texts['cinder.log'])
        self.assertEqual([], [str(item) for item in invariants.check_logs(
            texts, federation.secrets(self.folder / 'tokens',
                                      self.clusters.values()))])

    def commands(self) -> dict[str, str]:
        """:returns: what commands print and log."""
        layout = self.cloud.layout
        log = self.folder / 'command.log'
        general = ['-v', '-v', '--debug', '--log-file', str(log),
                   '--config-file', str(layout.base_config),
                   '--config-file', str(layout.config)]
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', MAIN, json.dumps([
                [*general, *words] for words in (
                    ('cluster', 'list'), ('cluster', 'show', 'west'),
                    ('credential', 'show', 'west'),
                    ('credential', 'show', 'north'),
                    ('credential', 'create', '--directory',
                     str(self.folder / 'keys')),
                    ('cluster', 'refresh', 'west', '--dry-run'),
                    ('volume', 'list'), ('snapshot', 'list'),
                    ('image', 'list'), ('job', 'list'), ('capacity',),
                    ('placement', 'explain', '--size', '1'),
                    ('placement', 'last'), ('cluster', 'status'),
                    ('drain', 'plan', 'west'), ('rebalance', 'plan'),
                    ('cluster', 'detach', 'west'),
                    ('pools', 'check-switch'), ('audit',))])],
            capture_output=True, text=True, timeout=300, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return {'output': done.stdout, 'errors': done.stderr,
                'command.log': log.read_text()}
