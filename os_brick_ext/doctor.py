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

"""What stands in the way of attaching volumes to this host.

Nothing is changed, and nothing needs privilege.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent import futures
import contextlib
import dataclasses
import enum
import ipaddress
import json
import os
import pathlib
import shutil

import psutil

from os_brick_ext import client
from os_brick_ext import conn_props
from os_brick_ext import discovery
from os_brick_ext import fabrics
from os_brick_ext import files
from os_brick_ext import host
from os_brick_ext import options
from os_brick_ext import probe
from os_brick_ext import settings
from os_brick_ext import sysfs
from os_brick_ext import ways

# Management, I/O and discovery.
PORTS = (443, 4420, 8009)
# Where nodes speak NVMe over TCP.
NVME_PORTS = frozenset({4420, 8009})
WORKERS = 16
# What the access list of a volume holds, for all of its hosts together.
IP_ACL_ENTRIES = 16
# What the root of a container is; few hosts have it.
CONTAINER_FILESYSTEMS = frozenset({'overlay', 'fuse-overlayfs'})
# What tells a host from others.
_NAMES = frozenset({'hostnqn', 'hostid'})


class State(enum.StrEnum):
    """How bad it is; only ERROR keeps volumes from being attached."""

    OK = 'ok'
    WARNING = 'warning'
    ERROR = 'error'


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    :param remedy: what to do about it, if anything.
    """

    check: str
    state: State
    found: str
    remedy: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class OtherHost:
    """What a finding of another host was.

    :param source: how a person knows that host.
    :param names: what it found as ``hostnqn`` and ``hostid``.
    """

    source: str
    names: dict[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """What the configuration files of a service say of its locks.

    :param files: as a person calls them.
    :param lock_folder: empty if they say nothing of it, or it is not known.
    :param problem: why it is not known; empty otherwise.
    """

    files: str
    lock_folder: str
    problem: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Patient:
    """The host to look at.

    :param etc: where its configuration is.
    :param endpoints: (host, port) of clusters, to be tried.
    :param others: hosts that must have names of their own.
    :param services: that attach volumes to the host.
    """

    kernel: sysfs.Sysfs
    chosen: settings.Settings
    etc: pathlib.Path
    endpoints: tuple[tuple[str, int], ...] = ()
    others: tuple[OtherHost, ...] = ()
    services: tuple[Service, ...] = ()


def parse_endpoint(text: str) -> list[tuple[str, int]]:
    """Read ``HOST``, ``HOST:PORT``, or either with an IPv6 address.

    :returns: (host, port); for a host alone all ports a cluster serves.
    :raises ValueError: it is of another form.
    """
    bare = text[1:-1] if text[:1] == '[' and text[-1:] == ']' else text
    try:
        return [(str(ipaddress.ip_address(bare)), port) for port in PORTS]
    except ValueError:
        pass
    name, colon, port = text.rpartition(':')
    if not colon:
        name = text
    if name[:1] == '[' and name[-1:] == ']':
        name = str(ipaddress.IPv6Address(name[1:-1]))
    elif not name or ':' in name or not name.isprintable() or ' ' in name:
        raise ValueError(f'not HOST or HOST:PORT: {text!r}')
    if not colon:
        return [(name, number) for number in PORTS]
    return [(name, conn_props.check_port(port, 'port'))]


def examine(patient: Patient) -> list[Finding]:
    """:returns: all findings, good and bad, in the order of the checks."""
    return [finding for check in CHECKS for finding in check(patient)]


def _modules(patient: Patient) -> Iterator[Finding]:
    for name in ('nvme_fabrics', 'nvme_tcp'):
        if patient.kernel.module_loaded(name):
            yield Finding('kernel module', State.OK, f'{name} is loaded')
        else:
            yield Finding('kernel module', State.ERROR,
                          f'{name} is not loaded', ways.LOAD_HINT)


def _multipath(patient: Patient) -> Iterator[Finding]:
    if patient.kernel.native_multipath():
        yield Finding('native multipath', State.OK, 'on')
    else:
        yield Finding(
            'native multipath', State.ERROR, 'off, or nvme_core not loaded',
            "set 'options nvme_core multipath=Y' in a file in "
            '/etc/modprobe.d and restart the host; without it a volume is '
            'lost with the node that serves it')


def _names(patient: Patient) -> Iterator[Finding]:
    for name, check, maker in (
            ('hostnqn', conn_props.check_nqn, 'nvme gen-hostnqn'),
            ('hostid', conn_props.check_uuid, 'uuidgen')):
        path = patient.etc / 'nvme' / name
        try:
            text = path.read_text(encoding='utf-8').strip()
            yield Finding(name, State.OK, check(text, str(path)))
        except FileNotFoundError:
            yield Finding(
                name, State.WARNING, f'{path} is missing',
                f"it is made at the first attachment; or '{maker} > {path}'")
        except (OSError, ValueError) as exc:
            yield Finding(name, State.ERROR, str(exc),
                          f"make it anew with '{maker} > {path}'")


def read_other(source: str, text: str) -> OtherHost:
    """Read the findings of another host.

    :param source: how a person knows that host, such as a file name.
    :param text: the findings as JSON.
    :raises ValueError: they are not.
    """
    try:
        return OtherHost(source, {
            str(one['check']): str(one['found']) for one in json.loads(text)
            if one['check'] in _NAMES and one['state'] == State.OK})
    except (KeyError, TypeError, ValueError) as exc:
        raise ValueError(
            f"{source}: not what 'doctor -f json' says") from exc


def _twins(patient: Patient) -> Iterator[Finding]:
    """Clusters cannot tell hosts of one name apart; clones have the same."""
    if not patient.others:
        return
    own = OtherHost('this host', {
        finding.check: finding.found for finding in _names(patient)
        if finding.state is State.OK})
    for name in sorted(_NAMES, reverse=True):
        bearers: dict[str, list[str]] = {}
        for other in (own, *patient.others):
            if name in other.names:
                bearers.setdefault(other.names[name], []).append(other.source)
        twins = [sources for sources in bearers.values() if len(sources) > 1]
        for sources in twins:
            yield Finding(
                'other hosts', State.ERROR,
                f"{name} is the same on {', '.join(sources)}",
                'give each host its own; a machine cloned from another has '
                "the other's")
        if bearers and not twins:
            yield Finding('other hosts', State.OK,
                          f'{name} differs on all that have one')


def _way(patient: Patient) -> Iterator[Finding]:
    chosen = patient.chosen
    folder = os.path.isdir(chosen.discovery_folder)
    by_client = (folder if chosen.mode == options.AUTO
                 else chosen.mode == options.DISCOVERY_CLIENT)
    yield Finding('mode', State.OK, (
        options.DISCOVERY_CLIENT if by_client else options.NATIVE)
        + (' (chosen automatically)' if chosen.mode == options.AUTO else ''))
    yield from (_by_client(chosen, folder) if by_client
                else _by_kernel(chosen))


def _by_client(chosen: settings.Settings, folder: bool) -> Iterator[Finding]:
    if not folder:
        yield Finding(
            'discovery client', State.ERROR,
            f'its folder {chosen.discovery_folder} is missing',
            'install the discovery client or set [os_brick] '
            'lightos_discovery_client_dir_path')
    where = f'{chosen.discovery_address} port {chosen.discovery_port}'
    if probe.http_ok(chosen.discovery_address, chosen.discovery_port,
                     client.METRICS, chosen.probe_timeout):
        yield Finding('discovery client', State.OK, f'answers at {where}')
    else:
        yield Finding(
            'discovery client', State.ERROR, f'does not answer at {where}',
            "start it, or see 'systemctl status discovery-client'; where "
            'there is none, set [os_brick_ext] mode = native')


def _by_kernel(chosen: settings.Settings) -> Iterator[Finding]:
    if probe.http_ok(chosen.discovery_address, chosen.discovery_port,
                     client.METRICS, chosen.probe_timeout):
        yield Finding(
            'discovery client', State.WARNING, 'runs beside native mode',
            'stop it, or set [os_brick_ext] mode = discovery-client: both '
            'would connect, and neither knows of the other')
    left = _drop_ins(chosen.discovery_folder)
    if left:
        yield Finding(
            'discovery client', State.WARNING,
            f'its folder {chosen.discovery_folder} has files of {len(left)} '
            f'volumes, such as {left[0]}',
            'remove them: nobody does in native mode, and a client that is '
            'started later connects clusters that are no longer needed')
    tool = shutil.which('nvme')
    if tool:
        yield Finding('nvme-cli', State.OK, tool)
    else:
        yield Finding(
            'nvme-cli', State.WARNING, 'not found',
            'install it if volumes of other drivers are attached; this '
            "project's driver names the nodes of a cluster itself")


def _drop_ins(folder: str) -> list[str]:
    """:returns: names of the files that tell the client of volumes."""
    found = []
    for name in sorted(files.names(folder)):
        with contextlib.suppress(ValueError):
            if name == discovery.file_name(name.removesuffix('.conf')):
                found.append(name)
    return found


def _locks(patient: Patient) -> Iterator[Finding]:
    told = [one for one in patient.services if one.lock_folder]
    yield from _untold(patient.services)
    if len({os.path.realpath(one.lock_folder) for one in told}) > 1:
        yield Finding(
            'locks', State.ERROR, 'services have different folders: '
            + ', '.join(f'{one.lock_folder} in {one.files}' for one in told),
            'set [os_brick_ext] lock_path to the same folder for all of '
            'them; else one ends connections that another needs')
        return
    folder = patient.chosen.lock_folder
    if folder and not os.path.isdir(folder):
        yield Finding('locks', State.ERROR, f'{folder} is missing',
                      'make it, writable for all services of this host')
    elif folder:
        yield Finding('locks', State.OK, folder)
    elif not patient.services:
        yield Finding(
            'locks', State.WARNING, 'not looked at: no configuration was read',
            'give --config-file with the files of a service')


def _untold(services: Iterable[Service]) -> Iterator[Finding]:
    """Services of which it is not known where they have their locks."""
    for one in services:
        if one.problem:
            yield Finding(
                'locks', State.WARNING,
                f'no folder known of {one.files}: {one.problem}',
                'name all files of the service, or set [os_brick_ext] '
                'lock_path')
        elif not one.lock_folder:
            yield Finding(
                'locks', State.WARNING, f'no folder in {one.files}',
                'name all files of the service; one of them must set '
                'lock_path in [os_brick_ext], [os_brick] or '
                '[oslo_concurrency]')


def _container(patient: Patient) -> Iterator[Finding]:
    """What belongs to one container ends with it, and no other sees it."""
    for path, remedy in (
            (patient.chosen.lock_folder,
             'mount a folder of the host there, the same in all containers '
             'that attach volumes'),
            (str(patient.etc / 'nvme'),
             "mount the host's there, or access ends when the container is "
             'made anew, with another name')):
        if path and _filesystem(path) in CONTAINER_FILESYSTEMS:
            yield Finding('container', State.WARNING,
                          f'{path} seems to be of this container alone',
                          remedy)


def _filesystem(path: str) -> str:
    """:returns: type of the file system that a path is in."""
    real = pathlib.Path(os.path.realpath(path))
    mounts = {part.mountpoint: part.fstype
              for part in psutil.disk_partitions(all=True)}
    return next((mounts[str(folder)] for folder in (real, *real.parents)
                 if str(folder) in mounts), '')


def _addresses(_patient: Patient) -> Iterator[Finding]:
    found = host.addresses()
    if len(found) > IP_ACL_ENTRIES:
        yield Finding(
            'addresses', State.WARNING,
            f'{len(found)}, while an access list holds {IP_ACL_ENTRIES}: '
            + ', '.join(found),
            'name the networks that lead to clusters in '
            'lightbits_data_networks, in the section of the backend in '
            'cinder.conf; or set lightbits_use_ip_acl = False there')
    elif found:
        yield Finding('addresses', State.OK, ', '.join(found))
    else:
        yield Finding(
            'addresses', State.ERROR, 'none but loopback',
            'clusters grant access by address: bring the data network up')


def _endpoints(patient: Patient) -> Iterator[Finding]:
    def ask(endpoint: tuple[str, int]) -> Finding:
        name = conn_props.join_endpoint(*endpoint)
        seconds = patient.chosen.probe_timeout
        why = (probe.speaks_nvme(*endpoint, seconds)
               if endpoint[1] in NVME_PORTS
               else probe.reachable(*endpoint, seconds))
        source = probe.local_address(*endpoint)
        if why is None:
            return Finding('endpoint', State.OK,
                           f'{name} is reachable from {source}')
        return Finding(
            'endpoint', State.ERROR,
            f'{name} is not reachable from {source or "here"}: {why}',
            'check routes and firewalls between this host and the cluster; '
            'if it accepts connections, see whether that node is well')

    with futures.ThreadPoolExecutor(WORKERS) as pool:
        yield from pool.map(ask, patient.endpoints)


def _connections(patient: Patient) -> Iterator[Finding]:
    for controller in patient.kernel.controllers():
        if (controller.transport != conn_props.TCP
                or controller.subsystem_nqn == fabrics.DISCOVERY_NQN):
            continue
        text = (f'{controller.name} to {controller.endpoint}: '
                f'{controller.state}, {controller.queues} queues')
        if not controller.live:
            yield Finding(
                'connection', State.WARNING, text,
                'the kernel tries again; see whether that node is up')
        elif controller.queues < 2:
            yield Finding(
                'connection', State.WARNING, text,
                'no queue for I/O was granted; see the logs of the cluster')
        else:
            yield Finding('connection', State.OK, text)


CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    _modules, _multipath, _names, _twins, _way, _locks, _container,
    _addresses, _endpoints, _connections)
