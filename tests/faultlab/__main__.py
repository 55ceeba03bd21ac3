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
"""Break everything for a while, and see whether anything is lost."""

from __future__ import annotations

import argparse
import pathlib
import random
import shutil
import sys
import tempfile

from tests.faultlab import lab
from tests.faultlab import plan
from tests.faultlab import report
from tests.stack import bed
from tests.stack import locks

# Clusters fall silent here, and that must not take the time of everything.
_BACKEND = {'lightbits_connect_timeout': '2', 'lightbits_api_timeout': '5'}


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='tools/faultlab.sh', description=__doc__)
    parser.add_argument('--minutes', type=float, default=5.0,
                        help='how long things break (default: %(default)s)')
    parser.add_argument('--seed', type=int,
                        help='of the plan; drawn and printed by default')
    parser.add_argument('--coordination', choices=sorted(locks.KINDS),
                        default='etcd', help='default: %(default)s')
    parser.add_argument('--threads', action='store_true',
                        help='native threads instead of eventlet')
    parser.add_argument('--plan', action='store_true',
                        help='only print what would break when')
    parser.add_argument('--report', type=pathlib.Path,
                        help='takes the report, with everything that '
                             'happened (default: faultlab-SEED.txt)')
    parser.add_argument('--logs', type=pathlib.Path,
                        help='an empty or new folder that takes all logs; '
                             'by default they are only kept when something '
                             'is wrong')
    return parser.parse_args(arguments)


def _repeat(options: argparse.Namespace, seed: int) -> str:
    """Return the command that does the same again."""
    words = [f'tools/faultlab.sh --minutes {options.minutes:g}',
             f'--seed {seed} --coordination {options.coordination}']
    words += ['--threads'] if options.threads else []
    return ' '.join(words)


def _run(options: argparse.Namespace, planned: plan.Plan,
         folder: pathlib.Path) -> lab.Result:
    with bed.Bed(folder, coordination=options.coordination,
                 threads=options.threads, backend=_BACKEND) as running:
        running.stack.start()
        result = lab.run(running, planned)
        running.stack.stop()
    return result


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    seed = options.seed
    if seed is None:
        seed = random.SystemRandom().randrange(10 ** 6)
    planned = plan.make(seed, options.minutes * 60)
    if options.plan:
        print('\n'.join(map(str, planned.breaks)))
        return 0
    command = _repeat(options, seed)
    print(command, flush=True)
    folder = options.logs or pathlib.Path(tempfile.mkdtemp(prefix='lab'))
    folder.mkdir(parents=True, exist_ok=True)
    print(f'Logs: {folder}', flush=True)
    result = _run(options, planned, folder)
    print('\n'.join(report.summary(result)))
    path = options.report or pathlib.Path(f'faultlab-{seed}.txt')
    path.write_text('\n'.join([command, '', *report.summary(result), '',
                               *report.details(result)]) + '\n')
    print(f'Everything in order: {path}')
    if result.good and not options.logs:
        shutil.rmtree(folder)
    return 0 if result.good else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
