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

"""The application: options of all commands, and the list of commands."""

from __future__ import annotations

import argparse
from importlib import metadata
import logging
import os
import shlex
import sys
from typing import TextIO

from cliff import app
from cliff import command
from cliff import commandmanager

from cinder_lightbits_federation.cli import adopt
from cinder_lightbits_federation.cli import attach
from cinder_lightbits_federation.cli import audit
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli import capacity
from cinder_lightbits_federation.cli import cloning
from cinder_lightbits_federation.cli import clusters
from cinder_lightbits_federation.cli import credentials
from cinder_lightbits_federation.cli import decisions
from cinder_lightbits_federation.cli import detach
from cinder_lightbits_federation.cli import exporter
from cinder_lightbits_federation.cli import hosts
from cinder_lightbits_federation.cli import images
from cinder_lightbits_federation.cli import jobs
from cinder_lightbits_federation.cli import listing
from cinder_lightbits_federation.cli import moving
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli import placement
from cinder_lightbits_federation.cli import pools
from cinder_lightbits_federation.cli import purge
from cinder_lightbits_federation.cli import reimport
from cinder_lightbits_federation.cli.session import Arguments
from cinder_lightbits_federation.cli.session import Session
from cinder_lightbits_federation.cli import states
from cinder_lightbits_federation.cli import upgrading

NAME = 'lightbits-federation'
DISTRIBUTION = 'cinder-lightbits-federation'
DESCRIPTION = 'Looks after one Cinder backend over Lightbits clusters.'

LEVELS = {0: logging.ERROR, 1: logging.WARNING, 2: logging.INFO}

COMMANDS: dict[str, type[command.Command]] = {
    'adopt back': adopt.AdoptBack,
    'adopt plan': adopt.AdoptPlan,
    'adopt resume': adopt.AdoptResume,
    'adopt run': adopt.AdoptRun,
    'audit': audit.Audit,
    'audit export': reimport.AuditExport,
    'audit purge': purge.AuditPurge,
    'audit reimport': reimport.AuditReimport,
    'capacity': capacity.Capacity,
    'cluster attach': attach.ClusterAttach,
    'cluster detach': detach.ClusterDetach,
    'cluster list': clusters.ClusterList,
    'cluster refresh': attach.ClusterRefresh,
    'cluster set': states.ClusterSet,
    'cluster show': clusters.ClusterShow,
    'cluster status': states.ClusterStatus,
    'credential create': credentials.CredentialCreate,
    'credential rotate': credentials.CredentialRotate,
    'credential show': credentials.CredentialShow,
    'drain plan': moving.DrainPlan,
    'drain run': moving.DrainRun,
    'exporter': exporter.Exporter,
    'freeze': upgrading.Freeze,
    'host acl refresh': hosts.HostAclRefresh,
    'image delete': images.ImageDelete,
    'image list': images.ImageList,
    'image show': images.ImageShow,
    'job cancel': jobs.JobCancel,
    'job list': jobs.JobList,
    'job resume': jobs.JobResume,
    'job show': jobs.JobShow,
    'placement explain': placement.PlacementExplain,
    'placement last': decisions.PlacementLast,
    'pools check-switch': pools.PoolsCheckSwitch,
    'rebalance plan': moving.RebalancePlan,
    'rebalance run': moving.RebalanceRun,
    'snapshot clone': cloning.SnapshotClone,
    'snapshot list': listing.SnapshotList,
    'snapshot show': listing.SnapshotShow,
    'thaw': upgrading.Thaw,
    'upgrade finalize': upgrading.UpgradeFinalize,
    'upgrade status': upgrading.UpgradeStatus,
    'volume clone': cloning.VolumeClone,
    'volume list': listing.VolumeList,
    'volume show': listing.VolumeShow,
}


def version() -> str:
    """:returns: the version of this project."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return 'unknown'


class Shell(app.App):
    """The command as a whole; runs one subcommand and ends."""

    NAME = NAME

    def __init__(self, stdout: TextIO | None = None,
                 stderr: TextIO | None = None) -> None:
        # A namespace that nobody has entry points in.
        commands = commandmanager.CommandManager(f'{NAME}.commands')
        for name, kind in COMMANDS.items():
            commands.add_command(name, kind)
        super().__init__(DESCRIPTION, version(), commands, stdout=stdout,
                         stderr=stderr, deferred_help=True)
        #: The command line, for who is to give it again.
        self.given = NAME
        self._session: Session | None = None
        self._handlers: list[logging.Handler] = []
        self._broken = False

    @property
    def session(self) -> Session:
        """What commands work with; the configuration is read now.

        :raises UsageError: it cannot be read.
        """
        if self._session is None:
            given = self.options
            self._session = Session(Arguments(
                given.config_file, given.config_dir, given.backend,
                given.host, given.timeout, given.connect_timeout))
        return self._session

    def build_option_parser(
            self, description: str | None, version: str | None,
            argparse_kwargs: dict[str, object] | None = None
    ) -> argparse.ArgumentParser:
        """Declare what all commands understand."""
        parser = super().build_option_parser(
            description, version,
            {'allow_abbrev': False, 'prog': NAME, **(argparse_kwargs or {})})
        parser.add_argument(
            '--config-file', action='append', default=[], metavar='FILE',
            help='Configuration file of cinder-volume; may be repeated. '
                 'Default: where the service finds its own.')
        parser.add_argument(
            '--config-dir', action='append', default=[], metavar='DIR',
            help='Folder with more of them; may be repeated.')
        parser.add_argument(
            '--backend', metavar='NAME',
            help='Section of the backend. Default: the only one of '
                 'enabled_backends that uses this driver.')
        parser.add_argument(
            '--host', metavar='HOST',
            help='Host of the volume service, as its records name it. '
                 'Default: backend_host or host of the configuration.')
        parser.add_argument(
            '--timeout', type=base.positive, default=60.0, metavar='SECONDS',
            help='How long to wait for one answer of a cluster, or of '
                 'Cinder. Default: %(default)s.')
        parser.add_argument(
            '--connect-timeout', type=base.positive, default=5.0,
            metavar='SECONDS',
            help='How long to wait for one connection. Default: '
                 '%(default)s.')
        parser.add_argument(
            '--os-cloud', metavar='NAME', default=None,
            help='Cloud of clouds.yaml whose Cinder is asked to move '
                 'volumes. Default: OS_CLOUD, or what other OS_* variables '
                 'say.')
        return parser

    def configure_logging(self) -> None:
        """Log to the terminal, and to a file if one is named."""
        console = logging.StreamHandler(self.stderr)
        console.setLevel(LEVELS.get(self.options.verbose_level,
                                    logging.DEBUG))
        console.setFormatter(logging.Formatter(self.CONSOLE_MESSAGE_FORMAT))
        self._handlers = [console]
        if self.options.log_file:
            self._handlers.append(self._log_file(self.options.log_file))
        root = logging.getLogger()
        root.setLevel(min(handler.level or logging.DEBUG
                          for handler in self._handlers))
        for handler in self._handlers:
            root.addHandler(handler)

    def _log_file(self, path: str) -> logging.Handler:
        try:
            file = logging.FileHandler(path)
        except OSError as exc:
            # An error from here would end as if there were findings.
            self.stderr.write(f'--log-file {path}: {exc.strerror}\n')
            raise SystemExit(int(Outcome.USAGE)) from exc
        file.setFormatter(logging.Formatter(self.LOG_FILE_MESSAGE_FORMAT))
        return file

    def run(self, argv: list[str]) -> int:
        """Run one command.

        :returns: the exit code, see `Outcome`.
        """
        self.given = shlex.join([NAME, *argv])
        level = logging.getLogger().level
        try:
            result = super().run(argv)
        finally:
            self._end(level)
        return int(Outcome.FAILED) if self._broken else result

    def interact(self) -> None:
        """Without a command there is nothing to do but to help."""
        self.parser.print_help(self.stderr)
        raise SystemExit(int(Outcome.USAGE))

    def clean_up(self, cmd: command.Command, result: int,
                 err: BaseException | None) -> None:
        """Note what no command has expected, which is no finding.

        An interrupt, and output that nobody reads, have results of their own.
        """
        self._broken = (isinstance(err, Exception)
                        and not isinstance(err, BrokenPipeError))

    def _end(self, level: int) -> None:
        if self._session is not None:
            self._session.close()
        root = logging.getLogger()
        for handler in self._handlers:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)


def main(argv: list[str] | None = None) -> int:
    """Run the command; the entry point.

    :returns: the exit code.
    """
    # oslo.log has one there as soon as Cinder is imported, which would tell
    # everything a second time, whatever -q says.
    root = logging.getLogger()
    for handler in tuple(root.handlers):
        root.removeHandler(handler)
    return _delivered(Shell().run(sys.argv[1:] if argv is None else argv))


def _delivered(result: int) -> int:
    """Write what is left of the output.

    :returns: the exit code that is right then.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter would try again at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Outcome.UNREAD)
    return result
