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

"""``credential``: the keys that tokens are signed with.

A private key is made on the host that uses it and stays there. What a
cluster needs is the public half, which its own command uploads.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import os
import shlex
from typing import Any

from cinder_lightbits_federation.cinderdb import wanted_projects
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.columns import Names
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli import keyfiles
from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.lightbits import client as lb_client
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import keys
from cinder_lightbits_federation.lightbits import tokens
from cinder_lightbits_federation.options import CLUSTER_PREFIX
from cinder_lightbits_federation.timing import DeadlineExceeded

FOLDER = '/etc/cinder/lightbits'
SYSTEM = 'system'

ACCEPTED = 'accepted'

# What is shown for the ID of a key that is not made.
UNMADE = 'ID'

_REFUSED = (lb_errors.NoCredential, lb_errors.Rejected)


def upload_lines(credential_id: str, public_file: str,
                 scopes: Iterable[str]) -> list[str]:
    """:returns: what uploads a public key, for ``lbcli``."""
    return [shlex.join([
        'lbcli', 'create', 'credential', f'--project-name={scope}',
        '--type=rsa256pubkey', f'--id={credential_id}', public_file])
        for scope in scopes]


def removal_lines(credential_id: str, scopes: Iterable[str]) -> list[str]:
    """:returns: what makes a cluster refuse a key, for ``lbcli``."""
    return [shlex.join([
        'lbcli', 'delete', 'credential', f'--project-name={scope}',
        f'--id={credential_id}']) for scope in scopes]


def section_lines(credential_id: str, private_file: str, scope: str
                  ) -> list[str]:
    """:returns: the options of a cluster's section that use a key."""
    return [f'credential_id = {credential_id}',
            f'private_key_file = {private_file}', f'token_scope = {scope}']


class CredentialCreate(base.ShowCommand):
    """Make a key pair and tell how a cluster comes to know it.

    Reads no configuration and asks no cluster. The private key stays in its
    file; the public key is for the cluster.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--id', metavar='ID',
            help='ID of the key at clusters. Default: made from the key.')
        parser.add_argument(
            '--directory', default=FOLDER, metavar='DIR',
            help='Where the two files go. Default: %(default)s.')
        parser.add_argument(
            '--scope', default='project',
            choices=[item.value for item in tokens.TokenScope],
            help='Whether tokens are for projects or for the whole cluster. '
                 'Default: %(default)s.')
        parser.add_argument(
            '--project', action='append', default=[], metavar='NAME',
            help='Project of the cluster that volumes are made in; may be '
                 'repeated. Default: default.')
        parser.add_argument(
            '--bits', type=int, default=keys.DEFAULT_BITS, metavar='N',
            help='Length of the key. Default: %(default)s.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Fields:
        """Write the two files."""
        if parsed_args.scope == SYSTEM and parsed_args.project:
            raise UsageError('--project is for --scope project')
        if parsed_args.bits < keys.FEWEST_BITS:
            raise UsageError(f'--bits is at least {keys.FEWEST_BITS}')
        pair = keyfiles.create(parsed_args.directory, parsed_args.id,
                               parsed_args.bits)
        scopes = ([SYSTEM] if parsed_args.scope == SYSTEM
                  else parsed_args.project or ['default'])
        fields = {
            **pair.fields(),
            'upload': Names(upload_lines(pair.id, pair.public_file, scopes)),
            'section': Names(section_lines(pair.id, pair.private_file,
                                           parsed_args.scope))}
        return tuple(fields), tuple(fields.values())


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """What a cluster said to tokens of a key.

    :param said: by project of the cluster, ``system`` for all of it.
    :param silent: whether it did not answer all of them.
    """

    said: Mapping[str, str]
    silent: bool

    @property
    def good(self) -> bool:
        """Whether it took all of them."""
        return all(text == ACCEPTED for text in self.said.values())

    def lines(self) -> list[str]:
        """:returns: a line for each project."""
        return [f'{scope}: {text}' for scope, text
                in sorted(self.said.items())]


def scopes_of(cluster: Cluster, projects: Iterable[str]) -> list[str]:
    """:returns: where the key of a cluster must be known."""
    if cluster.settings.token_scope is tokens.TokenScope.SYSTEM:
        return [SYSTEM]
    return sorted({cluster.settings.project(name) for name in projects})


def trial(cluster: Cluster, source: tokens.TokenSource,
          projects: Sequence[str]) -> Trial:
    """Ask a cluster with tokens of some source.

    :param projects: by their names on the cluster.
    """
    client = lb_client.LightbitsClient(cluster.settings.client, source)
    said, silent = {}, False
    try:
        for project in projects:
            try:
                client.cluster_info(project)
                said[project] = ACCEPTED
            except _REFUSED as exc:
                said[project] = exc.message
            except (lb_errors.LightbitsError, DeadlineExceeded) as exc:
                silent = True
                said[project] = str(getattr(exc, 'message', exc))
    finally:
        client.close()
    return Trial(said, silent)


class CredentialCommand(base.CommandMixin):
    """A command about the credential of one cluster."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the argument of these commands."""
        parser: argparse.ArgumentParser = (
            super().get_parser(prog_name))  # type: ignore[misc]
        parser.add_argument('cluster', metavar='CLUSTER',
                            help='Name or UUID of the cluster.')
        return parser

    def projects(self) -> set[str]:
        """:returns: the projects in use, by their names in Cinder."""
        return {self.session.settings.project, *wanted_projects()}


class CredentialShow(CredentialCommand, base.ShowCommand):
    """Show where the tokens of a cluster come from, and whether they do.

    Exit code 1: the cluster refuses them, or the file is no good; 3: it
    could not be asked.
    """

    def take_action(self, parsed_args: argparse.Namespace) -> base.Fields:
        """Look at the file and try the tokens."""
        session = self.session
        cluster = session.cluster(parsed_args.cluster)
        settings = cluster.settings
        scopes = scopes_of(cluster, self.projects())
        fields: dict[str, Any] = {
            'cluster': cluster.name, 'source': settings.token_option}
        fields.update(keyfiles.describe(settings, session.sections))
        tried = trial(cluster, settings.tokens, scopes)
        fields['trial'] = Names(tried.lines())
        if not tried.good:
            self.settle_for(Outcome.SILENT if tried.silent
                            else Outcome.FINDINGS)
        return tuple(fields), tuple(fields.values())


def _planned(folder: str, wanted: str | None) -> dict[str, Any]:
    """:returns: the columns of a key pair before it is made.

    What only the key can tell is empty.

    :raises FailedError: it could not be made, since a file is there.
    """
    keyfiles.check_id(wanted)
    name = wanted or UNMADE
    private, public = keyfiles.places(folder, name)
    return {'credential_id': name, 'private_key_file': private, 'mode': '',
            'public_key_file': public, 'fingerprint': '',
            'bits': keys.DEFAULT_BITS}


class CredentialRotate(CredentialCommand, base.ShowCommand):
    """Replace the key of a cluster while everything goes on.

    Without --to, makes the new key pair and tells what to upload. With --to,
    proves that the cluster takes tokens of the new key, has the service use
    it, and tells how to remove the old one.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--to', metavar='FILE',
            help='Private key file whose public half was uploaded.')
        parser.add_argument(
            '--id', metavar='ID',
            help='ID of the new key. Default: made from the key.')
        consent.add_dry_run(
            parser, 'Only try the new key; without --to: make none, show '
                    'what would be made.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Fields:
        """Take the first step or the second."""
        cluster = self.session.cluster(parsed_args.cluster)
        if cluster.settings.token_scope is None:
            raise UsageError(
                f'cluster {cluster.name} has no key: its section names '
                f'{cluster.settings.token_option}. Make one with '
                f'"credential create" and name it in the section')
        if parsed_args.to is None:
            fields = self._prepare(cluster, parsed_args)
        else:
            fields = self._switch(cluster, parsed_args)
        return tuple(fields), tuple(fields.values())

    def _option(self, cluster: Cluster, option: str) -> str:
        return str(self.session.sections.get(cluster.name, option))

    def _prepare(self, cluster: Cluster, given: argparse.Namespace
                 ) -> dict[str, Any]:
        folder = os.path.dirname(self._option(cluster, 'private_key_file'))
        if given.dry_run:
            fields = _planned(folder, given.id)
            self.say('Nothing was made.' if given.id else
                     f'Nothing was made; {UNMADE} stands for what is made '
                     f'from the key.')
        else:
            fields = keyfiles.create(folder, given.id,
                                     keys.DEFAULT_BITS).fields()
        scopes = scopes_of(cluster, self.projects())
        following = ['lightbits-federation', 'credential', 'rotate',
                     cluster.name, '--to', fields['private_key_file']]
        if given.id:
            following += ['--id', given.id]
        return {
            'cluster': cluster.name, **fields,
            'upload': Names(upload_lines(
                fields['credential_id'], fields['public_key_file'], scopes)),
            'then': shlex.join(following)}

    def _switch(self, cluster: Cluster, given: argparse.Namespace
                ) -> dict[str, Any]:
        """:raises FailedError: the cluster does not take the new key."""
        pair = keyfiles.existing(given.to, given.id)
        old = {option: self._option(cluster, option) for option
               in ('credential_id', 'private_key_file')}
        if old['credential_id'] == pair.id:
            raise UsageError(f'the section of {cluster.name} names key '
                             f'{pair.id} already')
        scopes = scopes_of(cluster, self.projects())
        tried = trial(cluster, tokens.MintedToken(
            pair.private_file, pair.id,
            cluster.settings.token_scope or tokens.TokenScope.PROJECT),
            scopes)
        if not tried.good:
            raise FailedError(
                f'cluster {cluster.name} does not take key {pair.id} '
                f'everywhere, so nothing was changed: '
                f'{"; ".join(tried.lines())}')
        fields: dict[str, Any] = {
            'cluster': cluster.name, 'credential_id': pair.id,
            'private_key_file': pair.private_file,
            'trial': Names(tried.lines()), 'written': '',
            'then': Names(())}
        if not given.dry_run:
            fields['written'] = self._write(cluster.name, pair)
            fields['then'] = Names([
                *removal_lines(old['credential_id'], scopes),
                shlex.join(['rm', old['private_key_file']])])
            self.say('Remove the old key when all services use the new one: '
                     'after the files were delivered to all hosts, and the '
                     'log of each said that the configuration is applied.')
        return fields

    def _write(self, name: str, pair: keyfiles.Pair) -> str:
        """:returns: the path, or what to do where it cannot be written."""
        drop_ins = self.session.drop_ins
        options = drop_ins.read(name)
        if options is None or drop_ins.obstacle() is not None:
            wanted = ', '.join(section_lines(
                pair.id, pair.private_file, '(as it is)')[:2])
            return f'no; set in [{CLUSTER_PREFIX}{name}]: {wanted}'
        return drop_ins.write(name, {
            **options, 'credential_id': pair.id,
            'private_key_file': pair.private_file})
