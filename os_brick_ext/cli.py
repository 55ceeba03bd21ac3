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

"""The command ``os-brick-ext``.

Its exit code is 0 if nothing keeps volumes from being attached, 1 if
something does, and 2 if the command was not understood.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import dataclasses
import json
import pathlib
import sys

from oslo_config import cfg

from os_brick_ext import doctor
from os_brick_ext import settings
from os_brick_ext import sysfs

HEALTHY = 0
SICK = 1


def _endpoint(text: str) -> list[tuple[str, int]]:
    try:
        return doctor.parse_endpoint(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def _files(text: str) -> list[str]:
    paths = text.split(',')
    if not all(paths):
        raise argparse.ArgumentTypeError(f'not FILE or FILE,FILE: {text!r}')
    return paths


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='os-brick-ext',
        description='Looks after hosts that attach Lightbits volumes.')
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    command = commands.add_parser(
        'doctor', help='say what keeps this host from attaching volumes',
        description='Says what keeps this host from attaching volumes and '
                    'how to mend it. Changes nothing. Exit code: 0 if '
                    'nothing does, warnings or not; 1 if something does; 2 '
                    'if the command was not understood.')
    command.add_argument(
        '-f', '--format', choices=('table', 'json'), default='table',
        help='form of the answer (default: table)')
    command.add_argument(
        '--config-file', action='append', default=[], dest='services',
        metavar='FILE[,FILE...]', type=_files,
        help='configuration of a service that attaches, such as '
             '/etc/nova/nova.conf: all files that it reads, and folders with '
             'more of them, in their order; may be repeated, and should be '
             'for all services, since they must have the same folder for '
             'locks')
    command.add_argument(
        '--endpoint', action='append', default=[], metavar='HOST[:PORT]',
        type=_endpoint, dest='endpoints',
        help='where a cluster is, to be tried; without a port 443, 4420 and '
             '8009 are; may be repeated')
    command.add_argument(
        '--other-host', action='append', default=[], metavar='FILE',
        dest='others',
        help="what 'doctor -f json' has said on another host, which must not "
             'have the NQN or id of this one; may be repeated')
    return parser


def _patient(arguments: argparse.Namespace) -> doctor.Patient:
    """:raises cfg.Error: a configuration file cannot be read.

    :raises OSError: a file of another host cannot be read.
    :raises ValueError: it says something else.
    """
    services = tuple(_service(paths) for paths in arguments.services)
    files = settings.Files([
        path for paths in arguments.services for path in paths])
    return doctor.Patient(
        sysfs.Sysfs(),
        files.load(next(filter(None, (
            service.lock_folder for service in services)), '')),
        pathlib.Path('/etc'),
        tuple(endpoint for endpoints in arguments.endpoints
              for endpoint in endpoints),
        tuple(doctor.read_other(name, pathlib.Path(name).read_text('utf-8'))
              for name in arguments.others),
        services)


def _service(paths: Sequence[str]) -> doctor.Service:
    """:raises cfg.Error: a configuration file cannot be read."""
    name, files = ','.join(paths), settings.Files(paths)
    try:
        return doctor.Service(name, files.lock_folder())
    except cfg.Error as exc:
        return doctor.Service(name, '', str(exc))


def _table(findings: Sequence[doctor.Finding]) -> str:
    width = max(len(finding.check) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f'{finding.state:<8} {finding.check:<{width}} '
                     f'{finding.found}')
        if finding.remedy:
            lines.append(f'{"":<8} {"":<{width}} -> {finding.remedy}')
    return '\n'.join(lines)


def _json(findings: Sequence[doctor.Finding]) -> str:
    return json.dumps(
        [dataclasses.asdict(finding) for finding in findings], indent=2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :param argv: its words, instead of those of the process.
    :returns: the exit code.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        patient = _patient(arguments)
    except (cfg.Error, OSError, ValueError) as exc:
        parser.error(str(exc))
    findings = doctor.examine(patient)
    print(_json(findings) if arguments.format == 'json'
          else _table(findings))
    sick = any(finding.state is doctor.State.ERROR for finding in findings)
    return SICK if sick else HEALTHY


if __name__ == '__main__':
    sys.exit(main())
