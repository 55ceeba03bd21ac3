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

"""What tools/test.sh reports, from logs of test runs."""

from collections.abc import Iterator
from concurrent import futures
import contextlib
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import fixtures
from oslotest import base

from tests.rules import source
from tests import snippets

LIBRARY = source.ROOT / 'tools' / 'lib' / 'summary.sh'

TOTALS = '''
======
Totals
======
Ran: {ran} tests in 0.3081 sec.
 - Passed: {passed}
 - Skipped: {skipped}
 - Expected Fail: {expected_fail}
 - Unexpected Success: {unexpected}
 - Failed: {failed}
Sum of execute time for each test: 0.3216 sec.
'''

# How apt-get is called.
PATIENTLY = '-qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=5'


@contextlib.contextmanager
def open_folder(path: pathlib.Path) -> Iterator[int]:
    """Give a descriptor that can be locked."""
    number = os.open(path, os.O_RDONLY)
    try:
        yield number
    finally:
        os.close(number)


def totals(passed: int = 0, skipped: int = 0, expected_fail: int = 0,
           unexpected: int = 0, failed: int = 0) -> str:
    return TOTALS.format(
        ran=passed + skipped + expected_fail + unexpected + failed,
        passed=passed, skipped=skipped, expected_fail=expected_fail,
        unexpected=unexpected, failed=failed)


class SummaryTestCase(base.BaseTestCase):

    def count(self, log: str, status: int = 0,
              kind: str = 'tests') -> tuple[str, tuple[int, int, int]]:
        """Count one environment: (its line, passed/failed/skipped)."""
        path = self.create_tempfiles([('run', log)], '.log')[0]
        script = (
            'set -o errexit -o nounset -o pipefail; source "$1"; '
            'count_environment some "$2" "$3" 7 "$4"; '
            'echo "${PASSED} ${FAILED} ${SKIPPED}"')
        run = subprocess.run(
            ['bash', '-c', script, 'bash', str(LIBRARY), str(status), path,
             kind], capture_output=True, check=True, encoding='utf-8')
        line, sums = run.stdout.splitlines()
        passed, failed, skipped = map(int, sums.split())
        return line, (passed, failed, skipped)

    def test_a_good_run(self) -> None:
        line, sums = self.count(totals(passed=12, skipped=3))
        self.assertEqual((12, 0, 3), sums)
        self.assertRegex(line, r'^some +ok +12 passed +0 failed +3 skipped')

    def test_a_failed_test(self) -> None:
        line, sums = self.count(totals(passed=12, failed=2), status=1)
        self.assertEqual((12, 2, 0), sums)
        self.assertRegex(line, '^some +FAILED +12 passed +2 failed')

    def test_expectations(self) -> None:
        _line, sums = self.count(
            totals(passed=1, expected_fail=2, unexpected=4), status=1)
        self.assertEqual((3, 4, 0), sums)

    def test_several_runs_in_one_environment(self) -> None:
        _line, sums = self.count(totals(passed=1) + totals(passed=2))
        self.assertEqual((3, 0, 0), sums)

    def test_what_a_test_prints_does_not_count(self) -> None:
        _line, sums = self.count(
            ' - Passed: 100\n - Failed: 5\n' + totals(passed=1)
            + ' - Passed: 100\n')
        self.assertEqual((1, 0, 0), sums)

    def test_no_test_is_a_failure(self) -> None:
        for log in ('', totals(), totals(skipped=4)):
            line, sums = self.count(log)
            self.assertEqual((0, 1), sums[:2])
            self.assertIn('ran no test', line)

    def test_checks_have_no_tests(self) -> None:
        line, sums = self.count('All checks passed!\n', kind='checks')
        self.assertEqual((0, 0, 0), sums)
        self.assertRegex(line, '^some +ok ')

    def test_an_unsuccessful_environment_without_a_failed_test(self) -> None:
        for kind, log in (('checks', ''), ('tests', totals(passed=5))):
            line, sums = self.count(log, status=2, kind=kind)
            self.assertEqual(1, sums[1])
            self.assertIn('exit status 2', line)


class PackagesTestCase(base.BaseTestCase):
    """Stand-ins for the system's programs write down how they were called."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.calls = self.folder / 'calls'
        self.calls.touch()
        self.policy = self.folder / 'policy-rc.d'
        self.program('apt-get', f'echo "apt-get $*" >>{self.calls}')

    def program(self, name: str, body: str) -> pathlib.Path:
        path = self.folder / name
        path.write_text(f'#!/bin/bash\n{body}\n', encoding='utf-8')
        path.chmod(0o755)
        return path

    def install(self, missing: str, times: int = 1,
                function: str = 'install_missing_packages') -> list[str]:
        """What is done about missing packages, as calls of apt-get."""
        status = 1 if missing else 0
        bindep = self.program(
            'bindep', f"printf '{missing}'; exit {status}")
        script = (
            'set -o errexit -o nounset -o pipefail; '
            'PATH="$1:${PATH}"; source "$2/log.sh"; source "$2/packages.sh"; '
            # Who runs the tests is not the question here.
            'function as_root { "$@"; }; SERVICE_POLICY=$5; APT_PAUSE=0; '
            'for ((i = 0; i < $4; i++)); do '
            f'{function} "$3" list test; done')
        subprocess.run(
            ['bash', '-c', script, 'bash', str(self.folder),
             str(LIBRARY.parent), str(bindep), str(times),
             str(self.policy)],
            capture_output=True, check=True)
        return self.calls.read_text(encoding='utf-8').splitlines()

    def test_nothing_missing(self) -> None:
        self.assertEqual([], self.install(''))

    def test_missing_packages_are_installed_without_asking(self) -> None:
        self.assertEqual(
            [f'apt-get update {PATIENTLY}',
             f'apt-get install -y {PATIENTLY} --no-install-recommends '
             'git patch'],
            self.install('git\\npatch\\n'))

    def test_lists_are_fetched_once(self) -> None:
        calls = self.install('git\\n', times=2)
        self.assertEqual(3, len(calls))
        self.assertEqual(1, calls.count(f'apt-get update {PATIENTLY}'))

    def test_lists_that_another_apt_is_fetching(self) -> None:
        self.program('apt-get', f'echo "$1" >>{self.calls}; '
                     f'[[ $1 == install || $(wc -l <{self.calls}) == 3 ]]')
        self.assertEqual(['update', 'update', 'update', 'install'],
                         self.install('git\\n'))

    def test_lists_that_cannot_be_fetched(self) -> None:
        self.program('apt-get', f'echo "$1" >>{self.calls}; exit 100')
        error = self.assertRaises(
            subprocess.CalledProcessError, self.install, 'git\\n')
        self.assertIn(b'apt-get update failed', error.stderr)
        self.assertEqual(3, len(self.calls.read_text().split()))

    def test_installations_take_turns(self) -> None:
        """So that none is without the policy because another one ends."""
        self.program('apt-get', '[[ $1 == update ]] && exit; '
                     f'[[ -e {self.policy} ]] && echo here >>{self.calls}; '
                     f'sleep 0.3; '
                     f'[[ -e {self.policy} ]] && echo still >>{self.calls}')
        with futures.ThreadPoolExecutor() as pool:
            list(pool.map(self.install, ['git\\n', 'git\\n']))
        self.assertEqual(['here', 'still'] * 2,
                         self.calls.read_text().split())

    def test_the_turn_is_not_kept_by_what_stays(self) -> None:
        held = '>/dev/null 2>&1 & echo "${!}"'
        self.program('apt-get', '[[ $1 == update ]] && exit; '
                     f'sleep 600 {held} >{self.calls}')
        number, = self.install('git\\n')
        self.addCleanup(os.kill, int(number), signal.SIGKILL)
        with open_folder(self.folder) as folder:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def ask_policy(self) -> None:
        """Have the stand-in for apt-get start a service."""
        self.program('apt-get', f'[[ $1 == update ]] && exit; status=0; '
                     f'{self.policy} redis start || status=$?; '
                     f'echo "policy says ${{status}}" >>{self.calls}')

    def test_no_service_is_started_meanwhile(self) -> None:
        self.ask_policy()
        self.assertEqual(['policy says 101'], self.install('redis\\n'))
        self.assertFalse(self.policy.exists())

    def test_a_policy_of_the_machine_stays(self) -> None:
        self.ask_policy()
        self.program(self.policy.name, 'exit 7')
        self.assertEqual(['policy says 7'], self.install('redis\\n'))
        self.assertTrue(self.policy.exists())

    def test_a_failed_installation_ends_the_run(self) -> None:
        self.program('apt-get', '[[ $1 == update ]]')
        error = self.assertRaises(
            subprocess.CalledProcessError, self.install, 'git\\n')
        self.assertIn(b'apt-get install failed: git', error.stderr)

    def test_a_failed_attempt_does_not(self) -> None:
        body = f'echo "apt-get $1" >>{self.calls}; [[ $1 == update ]]'
        self.program('apt-get', body)
        self.assertEqual(
            ['apt-get update', 'apt-get install'], self.install(
                'git\\n', function='! try_install_missing_packages'))
        self.program('apt-get', f'{body} || true')
        self.calls.write_text('')
        self.install('git\\n', function='try_install_missing_packages')


class VenvTestCase(base.BaseTestCase):

    def ensure(self, folder: str, *distributions: str) -> str:
        script = (
            'set -o errexit -o nounset -o pipefail; lib=$1; shift; '
            'source "${lib}/log.sh"; source "${lib}/packages.sh"; '
            'source "${lib}/venv.sh"; '
            # An empty environment is enough, and needs no index.
            'function create_venv { rm -rf "$2"; mkdir -p "$2/bin"; '
            'ln -s "$(type -P true)" "$2/bin/python"; }; '
            'ensure_venv "$@"')
        run = subprocess.run(
            ['bash', '-c', script, 'bash', str(LIBRARY.parent),
             sys.executable, folder, *distributions],
            capture_output=True, check=True, encoding='utf-8')
        return run.stdout

    def test_made_once_for_the_same_contents(self) -> None:
        folder = f'{self.useFixture(fixtures.TempDir()).path}/venv'
        self.assertIn('creating', self.ensure(folder, 'one', 'two'))
        self.assertEqual('', self.ensure(folder, 'one', 'two'))
        self.assertIn('creating', self.ensure(folder, 'one', 'three'))


class CommandTestCase(base.BaseTestCase):

    def test_help_shows_the_usage(self) -> None:
        run = subprocess.run(
            [source.ROOT / 'tools' / 'test.sh', '--help'],
            capture_output=True, check=True, encoding='utf-8')
        self.assertIn('tools/test.sh py3 -- tests.unit', run.stdout)

    def test_unknown_option(self) -> None:
        run = subprocess.run(
            [source.ROOT / 'tools' / 'test.sh', '--fast'],
            capture_output=True, check=False, encoding='utf-8')
        self.assertEqual(1, run.returncode)
        self.assertIn('unknown option --fast', run.stderr)


class RunTestCase(base.BaseTestCase):
    """The snippet of the readme, with stand-ins for what it starts."""

    def setUp(self) -> None:
        super().setUp()
        self.checkout = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        shutil.copytree(source.ROOT / 'tools', self.checkout / 'tools')
        (self.checkout / 'bindep.txt').touch()
        functional = self.checkout / 'tests' / 'functional'
        functional.mkdir(parents=True)
        (functional / 'test_some.py').touch()
        subprocess.run(['git', 'init', '--quiet', self.checkout], check=True)
        self.bin = self.checkout / '.venv-test' / 'bin'
        self.bin.mkdir(parents=True)
        version = subprocess.run(
            [sys.executable, '-VV'], check=True, capture_output=True,
            encoding='utf-8').stdout.strip()
        (self.bin.parent / '.stamp').write_text(
            f'{version} tox>=4.11 bindep>=2.11')
        self.program('bindep', '')

    def program(self, name: str, body: str) -> None:
        """Have a stand-in for a program in the environment."""
        path = self.bin / name
        path.write_text(f'#!/bin/bash\n{body}\n', encoding='utf-8')
        path.chmod(0o755)

    def tox(self, status: int = 0, **numbers: int) -> None:
        """Have a stand-in that runs tests in all but two environments."""
        self.program('tox', f'''
if [[ $1 == config ]]; then
    [[ $4 == pep8 || $4 == docs ]] || echo 'stestr --repo-url x run'
    exit 0
fi
echo "$3" >>{self.checkout}/ran
[[ $3 == pep8 || $3 == docs ]] && exit 0
cat <<'END'
{totals(**numbers)}
END
exit {status}''')

    def run_snippet(self) -> subprocess.CompletedProcess[str]:
        """Have a shell run what the readme says."""
        snippet = next(text for text in snippets.commands(snippets.README)
                       if 'test.sh' in text)
        return subprocess.run(
            ['bash', '-c', snippet], cwd=self.checkout, capture_output=True,
            encoding='utf-8', check=False, env={
                **os.environ, 'PYTHON': sys.executable})

    def test_the_snippet_of_the_readme(self) -> None:
        self.tox(passed=3, skipped=1)

        run = self.run_snippet()

        self.assertEqual(0, run.returncode, run.stdout + run.stderr)
        self.assertEqual(
            ['pep8', 'py3', 'py3-threading', 'docs', 'functional', 'vm'],
            (self.checkout / 'ran').read_text().split())
        self.assertEqual('12 passed, 0 failed, 4 skipped',
                         run.stdout.splitlines()[-1])

    def test_runs_in_one_checkout_take_turns(self) -> None:
        self.tox(passed=3)
        script = self.checkout / 'tools' / 'test.sh'
        with open(script, encoding='utf-8') as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            run = subprocess.Popen(
                [script, 'py3'], stdout=subprocess.PIPE, encoding='utf-8',
                env={**os.environ, 'PYTHON': sys.executable})
            self.addCleanup(run.wait)
            self.addCleanup(run.kill)
            assert run.stdout is not None
            line = run.stdout.readline()
            self.assertIn('waiting for another run', line)
            self.assertFalse((self.checkout / 'ran').exists())
        told, _error = run.communicate()
        self.assertEqual(0, run.returncode, told)
        self.assertEqual('py3\n', (self.checkout / 'ran').read_text())

    def test_a_failure_is_told(self) -> None:
        self.tox(status=1, passed=2, failed=1)

        run = self.run_snippet()

        self.assertEqual(1, run.returncode, run.stdout + run.stderr)
        self.assertEqual('8 passed, 4 failed, 0 skipped',
                         run.stdout.splitlines()[-1])
