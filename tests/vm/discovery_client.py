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

"""A stand-in for the vendor's discovery client, as a program.

It keeps to what is known of the original: it reads files that are created in
or renamed into its folder and not files that are edited; a bad line spoils
its whole file; it connects what a discovery service reports and never
disconnects anything; it answers on the port for metrics. Unlike the original
it connects only when there is a new file, and does not follow a cluster.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import http.server
import pathlib
import subprocess
import sys
import threading
import time

from os_brick_ext import fabrics

METRICS_PORT = 6060
# Seconds for which an answer of a discovery service is good for other files
# with the same lines. The original is connected to it and need not ask.
ANSWER_AGE = 5.0
HOST_ID = pathlib.Path('/etc/nvme/hostid')


class _Metrics(http.server.BaseHTTPRequestHandler):

    def do_HEAD(self) -> None:
        self.send_response(200 if self.path == '/metrics' else 404)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Say nothing of it."""


def parse(text: str) -> list[argparse.Namespace]:
    """:returns: the lines of a file.

    :raises SystemExit: it is spoiled.
    """
    parser = argparse.ArgumentParser(exit_on_error=False, add_help=False)
    parser.add_argument('-t', '--transport', choices=['tcp'])
    parser.add_argument('-a', '--traddr')
    parser.add_argument('-s', '--trsvcid', type=int)
    parser.add_argument('-q', '--hostnqn')
    parser.add_argument('-n', '--subsysnqn')
    lines = (line.partition('#')[0].split() for line in text.splitlines())
    found = [parser.parse_args(words) for words in lines if words]
    return [line for line in found if all(vars(line).values())]


def discover(line: argparse.Namespace) -> tuple[str, ...]:
    """:returns: where a cluster's I/O controllers are."""
    page = subprocess.run(
        ['nvme', 'discover', '-o', 'json', '-t', line.transport,
         '-a', line.traddr, '-s', str(line.trsvcid), '-q', line.hostnqn,
         '-I', HOST_ID.read_text().strip()],
        check=True, capture_output=True, text=True).stdout
    return fabrics.log_endpoints(page, line.subsysnqn)


def connect(line: argparse.Namespace, endpoint: str) -> None:
    """Have the kernel connect, unless it is connected."""
    address, _colon, port = endpoint.rpartition(':')
    options = (f'nqn={line.subsysnqn},transport=tcp,'
               f"traddr={address.strip('[]')},trsvcid={port},"
               f'hostnqn={line.hostnqn},'
               f'hostid={HOST_ID.read_text().strip()}')
    try:
        with open('/dev/nvme-fabrics', 'r+b', buffering=0) as device:
            device.write(options.encode())
    except OSError as exc:
        if exc.errno != errno.EALREADY:
            print(f'{endpoint}: {exc}', file=sys.stderr)


class Answers:
    """What discovery services have said a moment ago."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}

    def ask(self, line: argparse.Namespace) -> tuple[str, ...]:
        """See :func:`discover`."""
        asked, found = self._known.get(str(line), (0.0, ()))
        if not found or time.monotonic() - asked > ANSWER_AGE:
            found = discover(line)
            self._known[str(line)] = time.monotonic(), found
        return found


def follow(path: pathlib.Path, answers: Answers) -> None:
    """Connect what a new file tells of."""
    try:
        lines = parse(path.read_text())
    except (argparse.ArgumentError, FileNotFoundError, SystemExit) as exc:
        print(f'{path}: {exc}', file=sys.stderr)
        return
    for line in lines:
        try:
            for endpoint in answers.ask(line):
                connect(line, endpoint)
            return
        except (OSError, ValueError, subprocess.SubprocessError) as exc:
            print(f'{line.traddr}: {exc}', file=sys.stderr)


def look(folder: pathlib.Path) -> set[tuple[str, int]]:
    """:returns: names and numbers of the files that are complete."""
    found: set[tuple[str, int]] = set()
    for path in folder.iterdir():
        # It may go away meanwhile.
        with contextlib.suppress(FileNotFoundError):
            if not path.name.startswith('tmp.dc.'):
                found.add((path.name, path.stat().st_ino))
    return found


def main(folder: pathlib.Path) -> None:
    """Watch a folder for ever."""
    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', METRICS_PORT), _Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known: set[tuple[str, int]] = set()
    answers = Answers()
    while True:
        # A file that is renamed into place is another file of that name.
        found = look(folder)
        for name, _number in sorted(found - known):
            follow(folder / name, answers)
        known = found
        time.sleep(0.05)


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]))
