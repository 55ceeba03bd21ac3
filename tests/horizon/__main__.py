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
"""Run the tour; the exit status says whether all of it held."""

from __future__ import annotations

import argparse
import pathlib
import shutil
import signal
import sys
import threading
import time
import traceback

from tests.embedded.demo import console
from tests.horizon import browser
from tests.horizon import cloud
from tests.horizon import tour


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='tools/horizon.sh', description=__doc__)
    parser.add_argument('--pictures', type=pathlib.Path, metavar='FOLDER',
                        help='write screenshots there')
    parser.add_argument('--threads', action='store_true',
                        help='Cinder on native threads, not eventlet')
    parser.add_argument('--keep', action='store_true',
                        help='leave it running until interrupted')
    return parser.parse_args(arguments)


def _start(on: cloud.Cloud, out: console.Console) -> None:
    """Start all services, and say how long each kind took."""
    out.act('Start the services')
    for what, start in (
            ('clusters and Cinder', on.start_cinder),
            ('Keystone', on.start_keystone),
            ('Glance and Nova, the APIs', on.start_companions),
            ('Horizon', on.horizon.start)):
        begin = time.monotonic()
        start()
        out.ok(f'{what} ({time.monotonic() - begin:.1f} s)')


def _tour(on: cloud.Cloud, out: console.Console,
          pictures: pathlib.Path | None) -> None:
    rows = []
    with browser.Browser(on.folder, on.horizon.url, pictures) as window:
        trip = tour.Tour(on, window)
        for title, step in zip(tour.TITLES, trip.steps(), strict=True):
            out.act(title)
            begin = time.monotonic()
            try:
                outcome = step()
            except Exception:
                window.save(on.folder / 'failed.png')
                raise
            out.ok(outcome)
            rows.append((title, outcome, time.monotonic() - begin))
    out.summary(rows)


def _serve(on: cloud.Cloud) -> None:
    """Tell how to log in, and wait for an interrupt."""
    for account in (on.user, on.keystone.admin):
        print(f'{on.horizon.url}  {account.user}  {account.password}',
              flush=True)
    ended = threading.Event()
    signal.signal(signal.SIGINT, lambda signum, frame: ended.set())
    ended.wait()


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    # What is running is to be stopped, however this ends.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(1))
    out = console.Console(1 + len(tour.TITLES))
    with cloud.Cloud(options.threads) as on:
        try:
            _start(on, out)
            _tour(on, out, options.pictures)
            if options.keep:
                _serve(on)
            on.stop()
        except Exception:  # noqa: BLE001  (the top of the program)
            traceback.print_exc()
            print(f'\nFAILED; configuration, logs and a picture of the page '
                  f'are in {on.folder}', file=sys.stderr)
            return 1
    shutil.rmtree(on.folder)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
