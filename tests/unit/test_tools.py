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

import subprocess

from oslotest import base

from tests.rules import source

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
