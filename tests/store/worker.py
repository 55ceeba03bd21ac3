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

"""A process that does jobs: ``worker.py URL BACKEND TRAIL [--first]``.

A job writes a line for each of its steps. With ``--first`` it stops where its
parameters say, to be killed there.
"""

from __future__ import annotations

import os
import sys
import threading

from cinder_lightbits_federation.jobs import book
from cinder_lightbits_federation.jobs import claims
from cinder_lightbits_federation.jobs import runner
from cinder_lightbits_federation.store import engine

LEASE = 2.0


def main(url: str, backend: str, trail: str, *flags: str) -> None:
    """Do jobs until the end of the standard input."""
    def write(task: runner.Task) -> None:
        done = int(task.held.load().get('done', 0))
        total = task.job.parameters['steps']
        while done < total:
            done += 1
            with open(trail, 'a', encoding='utf-8') as file:
                file.write(f'{task.job.id} {done}\n')
            task.held.save({'done': done}, done, total)
            if flags and done == task.job.parameters['stop_at']:
                threading.Event().wait()

    desk = claims.Desk(book.Book(engine.Store(engine.parse(url)), backend,
                                 LEASE), f'worker-{os.getpid()}')
    runner.Runner(desk, {'write': write}, interval=0.1).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == '__main__':
    main(*sys.argv[1:])
