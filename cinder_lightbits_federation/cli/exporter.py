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
"""``exporter``: figures for Prometheus."""

from __future__ import annotations

import argparse
import functools
import multiprocessing
from multiprocessing import connection
import os
import signal
import threading
from types import FrameType
from wsgiref import simple_server

from cliff import command
from oslo_db import exception as db_exception
import prometheus_client

from cinder_lightbits_federation.audit.arrays import Arrays
from cinder_lightbits_federation.audit.collect import Auditor
from cinder_lightbits_federation.audit.collect import Report
from cinder_lightbits_federation.cinderdb import wanted_projects
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.outcome import CommandError
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cli.session import Arguments
from cinder_lightbits_federation.cli.session import Session
from cinder_lightbits_federation.exporter import arrays
from cinder_lightbits_federation.exporter import books
from cinder_lightbits_federation.exporter.collector import Collector
from cinder_lightbits_federation.exporter.collector import Source
from cinder_lightbits_federation.exporter.rounds import Rounds
from cinder_lightbits_federation.jobs.model import UNFINISHED
from cinder_lightbits_federation.watcher import Watcher

ADDRESS = '127.0.0.1:9640'
AUDIT_INTERVAL = 3600.0
WATCH_INTERVAL = 5.0

#: How much an audit leaves the processor to others, as nice(1) has it.
_POLITE = 10


class Exporter(base.CommandMixin, command.Command):
    """Serve figures of the backend to Prometheus until it is ended.

    Looks at the clusters as often as the service does
    (lightbits_poll_interval), so that a scrape asks no cluster; counts
    Cinder's records at each scrape. Follows the configuration and the states
    of clusters ("cluster set") at run time. Ends with 0 on SIGTERM and SIGINT.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--listen', default=ADDRESS, metavar='ADDRESS:PORT',
            help='Where to serve /metrics; [ADDRESS]:PORT with IPv6, port 0 '
                 'takes a free one. Default: %(default)s.')
        parser.add_argument(
            '--tls-certificate', metavar='FILE',
            help='Serve HTTPS with this certificate (PEM).')
        parser.add_argument(
            '--tls-key', metavar='FILE', help='Its private key (PEM).')
        parser.add_argument(
            '--tls-client-ca', metavar='FILE',
            help='Take only clients with a certificate of this authority.')
        parser.add_argument(
            '--audit-interval', type=base.not_negative, metavar='SECONDS',
            default=AUDIT_INTERVAL,
            help='Seconds between two audits; 0 for none. Default: '
                 '%(default)s.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Serve until a signal says to end."""
        session = self.session
        host, port = _address(parsed_args.listen)
        ended = threading.Event()

        def end(_number: int, _frame: FrameType | None) -> None:
            ended.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        rounds = Rounds(functools.partial(_audit, session),
                        parsed_args.audit_interval)
        watcher = Watcher(session.files, session.dirs, WATCH_INTERVAL,
                          functools.partial(self._reload, session),
                          session.heard, session.registry.named_files)
        session.registry.start()
        metrics = prometheus_client.CollectorRegistry()
        audits = parsed_args.audit_interval > 0
        metrics.register(Collector(
            _sources(session, rounds if audits else None),
            (db_exception.DBError, CommandError)))
        server, _thread = _serve(host, port, metrics, parsed_args)
        self.say(f'Serving on port {server.server_port}')
        watcher.start()
        if audits:
            rounds.start()
        ended.wait()
        watcher.stop()
        rounds.stop()
        server.shutdown()
        server.server_close()

    def _reload(self, session: Session) -> bool:
        try:
            session.reload()
        except UsageError as exc:
            self.say(f'The changed configuration is not applied: {exc}')
        return True


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(':')
    if not colon or not port.isdigit() or int(port) > 65535:
        raise UsageError(f'--listen: {text!r} is not ADDRESS:PORT')
    return host.strip('[]') or '::', int(port)


def _serve(host: str, port: int, metrics: prometheus_client.CollectorRegistry,
           parsed_args: argparse.Namespace
           ) -> tuple[simple_server.WSGIServer, threading.Thread]:
    certificate, key = parsed_args.tls_certificate, parsed_args.tls_key
    ca = parsed_args.tls_client_ca
    if bool(certificate) != bool(key) or (ca and not certificate):
        raise UsageError('--tls-certificate, --tls-key: one takes the other, '
                         'and --tls-client-ca takes both')
    try:
        return prometheus_client.start_http_server(
            port, host, metrics, certfile=certificate, keyfile=key,
            client_cafile=ca, client_auth_required=bool(ca))
    except OSError as exc:
        raise CommandError(
            f'cannot serve on {parsed_args.listen}: {exc}') from exc


def _sources(session: Session, rounds: Rounds | None) -> dict[str, Source]:
    """:param rounds: None if nothing is to be audited."""
    found: dict[str, Source] = {
        'clusters': functools.partial(_clusters, session),
        'records': functools.partial(_records, session),
        'services': functools.partial(_services, session)}
    if rounds is not None:
        found['audit'] = functools.partial(_audited, rounds)
    return found


def _clusters(session: Session) -> arrays.Metrics:
    registry, settings = session.registry, session.settings
    yield from arrays.clusters(registry.clusters, registry.broken)
    yield from arrays.backend(
        [cluster.view(0, 0) for cluster in registry.clusters],
        settings.default_replicas, settings.policy)


def _records(session: Session) -> arrays.Metrics:
    names = {cluster.uuid: cluster.name
             for cluster in session.registry.clusters
             if cluster.uuid is not None}
    yield from books.records(
        {resource.lower(): books.tallies(resource, session.host,
                                         session.cluster_name)
         for resource in ('Volume', 'Snapshot')}, names)


def _services(session: Session) -> arrays.Metrics:
    shared = session.shared
    if shared.missing:
        return
    yield from books.services(shared.services.all(), shared.reports.all())
    yield from books.jobs(shared.book.tally(),
                          shared.book.all(UNFINISHED))


def _audited(rounds: Rounds) -> arrays.Metrics:
    """:raises CommandError: after these figures, that newer ones failed."""
    last, failure = rounds.last, rounds.failure
    if last is not None:
        yield from books.audit(last.report, last.seconds, last.ended)
    if failure:
        raise CommandError(f'the last audit has failed: {failure}')


def _audit(session: Session) -> Report:
    """Audit in a process of its own, for scrapes not to wait for it.

    It ends when this process does.

    :raises CommandError: it ended without a result; it has said why.
    """
    processes = multiprocessing.get_context('spawn')
    receiver, sender = processes.Pipe(duplex=False)
    child = processes.Process(target=_audit_apart, daemon=True,
                              args=(session.arguments, sender))
    child.start()
    sender.close()
    try:
        report: Report = receiver.recv()
    except EOFError:
        child.join()
        raise CommandError(f'the audit ended with {child.exitcode}') from None
    finally:
        receiver.close()
    child.join()
    return report


def _audit_apart(arguments: Arguments, sender: connection.Connection
                 ) -> None:
    os.nice(_POLITE)
    session = Session(arguments)
    try:
        registry = session.connect()
        projects = {session.settings.project, *wanted_projects()}
        sender.send(Auditor(Arrays(registry, projects), session.database,
                            session.owner).run())
    finally:
        session.close()
