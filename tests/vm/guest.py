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

"""What runs in the guest: it becomes a host, and tests itself.

Run as ``python -m tests.vm.guest [NAME...]``, the names being tests.
"""

from __future__ import annotations

import logging
from logging import handlers
import pathlib
import subprocess
import sys
import unittest

import os_brick
from os_brick.privileged import rootwrap
# As every service does: it declares what os-brick's set-up reads.
from oslo_concurrency import lockutils as _lockutils  # noqa: F401
from oslo_config import cfg
from oslo_log import log as oslo_log

from os_brick_ext import privileged
from tests.vm import cloud
from tests.vm import places
from tests.vm import report

HOST_ID = '5b7a1d2c-93c4-4d0e-8f10-6a2b3c4d5e6f'
HOST_NQN = f'nqn.2014-08.org.nvmexpress:uuid:{HOST_ID}'
ADDRESS = '198.51.100.7'
CONFIGURATION = pathlib.Path('/etc/guest.conf')
SUITES = ('tests.vm.suite_native', 'tests.vm.suite_client',
          'tests.vm.suite_host', 'tests.vm.suite_crash',
          'tests.vm.suite_cloud', 'tests.vm.suite_copy',
          'tests.vm.suite_failures')
# Those that need clusters and Cinder.
MEASUREMENTS = 'tests.vm.measure'
CLOUD_SUITES = ('suite_cloud', 'suite_copy', 'suite_failures', 'suite_nova')

_HELPER = (f'{sys.executable} -m oslo_privsep.daemon '
           f'--config-file {CONFIGURATION}')
# Seconds that a node has to begin to talk: as long as services give it where
# that is measured, else long enough for it to be emulated beside much else.
_PROBE_MEASURED = 2
_PROBE = 30
_TEXT = """
[DEFAULT]
debug = {debug}
[os_brick]
lock_path = {locks}
lightos_discovery_client_dir_path = {drop_ins}
[os_brick_ext]
reconnect_delay = 1
probe_timeout = {probe}
[privsep_osbrick]
helper_command = {helper}
[privsep_os_brick_ext]
helper_command = {helper}
"""


def become_host(measured: bool) -> None:
    """Set up network, names and configuration.

    :param measured: whether to log, and to wait, as services do by default;
        else all is logged, and nobody is in a hurry.
    """
    for words in (
            'link set lo up', 'link add data0 type dummy', 'link set data0 up',
            f'addr add {ADDRESS}/24 dev data0',
            *(f'addr add {address}/128 dev lo' for address in (
                *places.HOST_IPV6, *places.CLOUD_IPV6))):
        subprocess.run(['ip', *words.split()], check=True)
    for folder in (pathlib.Path('/etc/nvme'), places.DROP_INS, places.LOCKS,
                   pathlib.Path('/dev/disk/by-id')):
        folder.mkdir(parents=True, exist_ok=True)
    # Not on a layer over something else, as in a container of its own.
    subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', '/etc/nvme'], check=True)
    pathlib.Path('/etc/nvme/hostnqn').write_text(f'{HOST_NQN}\n')
    pathlib.Path('/etc/nvme/hostid').write_text(f'{HOST_ID}\n')
    CONFIGURATION.write_text(_TEXT.format(
        debug=not measured, locks=places.LOCKS, drop_ins=places.DROP_INS,
        helper=_HELPER, probe=_PROBE_MEASURED if measured else _PROBE))


def read_configuration() -> None:
    """Have the options as a service would."""
    cfg.CONF(['--config-file', str(CONFIGURATION)], project='guest')


def configure() -> None:
    """Do what a service does when it starts."""
    oslo_log.register_options(cfg.CONF)
    read_configuration()
    # Each write to the share is a call to the machine outside.
    log = logging.FileHandler(places.LOG)
    log.setFormatter(logging.Formatter('%(asctime)s %(name)s %(message)s'))
    logging.basicConfig(
        handlers=[handlers.MemoryHandler(500, logging.ERROR, log)],
        level=logging.DEBUG if cfg.CONF.debug else logging.INFO, force=True)
    os_brick.setup(cfg.CONF)
    # The privileged daemons take long to start here; no test is about that.
    privileged.remove_drop_in(HOST_ID)
    rootwrap.execute_root('true')


def main(names: list[str]) -> int:
    """:returns: 0 if all tests passed."""
    names = names or list(SUITES)
    become_host(any(name.startswith(MEASUREMENTS) for name in names))
    if any(suite in name for suite in CLOUD_SUITES for name in names):
        # It takes long to start, so it does beside what comes first.
        cloud.shared()
    try:
        configure()
        suite = unittest.defaultTestLoader.loadTestsFromNames(names)
        result = unittest.TextTestRunner(
            stream=sys.stdout, verbosity=2, resultclass=report.Timed).run(
                suite)
    finally:
        cloud.stop()
    assert isinstance(result, report.Timed)
    report.finish(places.FIGURES, result)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
