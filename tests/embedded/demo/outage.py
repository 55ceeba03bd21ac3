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

"""The acts around a cluster that dies and comes back."""

from __future__ import annotations

from tests.embedded.demo import acts
from tests.embedded.demo import console
from tests.embedded.demo import stage
from tests.embedded import waiting

_DEAD = acts.PIN
_VICTIM = 'log-2'
_REFUSED = 'pinned-now'
_DURING = ('during-1', 'during-2', 'during-3')
_SIZE = ('--size', '20')
_REPLICAS = 3
# The reported total may differ from the sum of the clusters by rounding.
_TOLERANCE = 0.02


def show_capacity(show: acts.Show) -> str:
    """The pool's figures are the sum of the clusters'."""
    total = _check_total(show, [plan.name for plan in stage.PLANS])
    return f'one pool of {total:.0f} GiB over {len(stage.PLANS)} clusters'


def stop_cluster(show: acts.Show) -> str:
    """One cluster stops: the others serve, failures are clear."""
    show.on.clusters[_DEAD].stop()
    show.out.say(f'cluster {_DEAD} is stopped')
    show.operator.create_volumes([(name, _SIZE) for name in _DURING])
    found = [show.place(name) for name in _DURING]
    acts.show_places(show, found)
    console.expect(all(item.cluster != _DEAD for item in found),
                   f'a volume went to {_DEAD}')
    show.out.ok(f'{len(found)} volumes were made on the clusters that live')
    total = _check_total(show, [plan.name for plan in stage.PLANS
                                if plan.name != _DEAD])
    _refuse_pinned(show)
    _fail_delete(show)
    return f'creates went on; pool of {total:.0f} GiB; failures were clear'


def start_cluster(show: acts.Show) -> str:
    """The cluster is back: what failed is repeated and works."""
    uuid = show.place(_VICTIM).volume['UUID']
    show.on.clusters[_DEAD].start()
    show.out.say(f'cluster {_DEAD} is started again')
    _check_total(show, [plan.name for plan in stage.PLANS])
    show.operator.run_all([
        ('volume', 'set', '--state', 'available', _VICTIM),
        ('volume', 'delete', _VICTIM, _REFUSED)])
    show.operator.gone(_VICTIM)
    show.operator.gone(_REFUSED)
    waiting.wait_for(
        lambda: all(volume['UUID'] != uuid or volume['state'] == 'Deleting'
                    for volume in
                    show.on.clusters[_DEAD].state()['volumes']),
        f'{_VICTIM} to leave {_DEAD}')
    show.out.ok(f'{_VICTIM} is gone from Cinder and from {_DEAD}')
    show.operator.create_volumes(
        [('pinned-later', (*_SIZE, '--type', acts.PINNED))])
    console.expect(show.place('pinned-later').cluster == _DEAD,
                   'pinned-later is elsewhere')
    show.out.ok(f'new volumes of type {acts.PINNED} go to {_DEAD} again')
    return 'what had failed was repeated and worked'


def _refuse_pinned(show: acts.Show) -> None:
    show.operator.run('volume', 'create', *_SIZE, '--type', acts.PINNED,
                      _REFUSED)
    volume = show.operator.settled(_REFUSED, frozenset({'error'}))
    messages = [
        item['User Message'] for item in
        show.operator.read('volume', 'message', 'list')
        if item['Resource UUID'] == volume.id]
    console.expect(messages, f'no message about {_REFUSED}')
    show.out.ok(f'{_REFUSED} ends in error, and its owner reads: '
                f'{messages[0]}')


def _fail_delete(show: acts.Show) -> None:
    so_far = len(show.on.cloud.log())
    show.operator.run('volume', 'delete', _VICTIM)
    show.operator.settled(_VICTIM, frozenset({'error_deleting'}))
    line = show.on.cloud.wait_for_log(
        rf'LightbitsBackendError: .*cluster {_DEAD}: ', so_far)
    show.out.ok(f'{_VICTIM} is error_deleting, and the log says why:')
    show.out.block(line[line.index('LightbitsBackendError'):])


def _check_total(show: acts.Show, names: list[str]) -> float:
    """Wait until the pool is the sum of the named clusters, and show it."""
    effective = sum(plan.capacity for plan in stage.PLANS
                    if plan.name in names)
    wanted = effective / stage.GIB / _REPLICAS
    begin = show.out.elapsed

    def total() -> float:
        pools = list(show.sdk.backend_pools())
        found: float = pools[0].capabilities['total_capacity_gb']
        return found

    waiting.wait_for(
        lambda: abs(float(total()) - wanted) <= wanted * _TOLERANCE,
        f'a pool of {wanted:.0f} GiB')
    show.out.say(f'the scheduler knew after {show.out.elapsed - begin:.1f} s')
    pool = show.pool()
    free = float(pool['free_capacity_gb'])
    provisioned = float(pool['provisioned_capacity_gb'])
    console.expect(provisioned >= 0 and free <= wanted * (1 + _TOLERANCE),
                   f'free {free}, provisioned {provisioned} of {wanted}')
    show.out.ok(f'pool: total {float(pool["total_capacity_gb"]):.0f} GiB is '
                f'{" + ".join(names)} at {_REPLICAS} replicas; free '
                f'{free:.0f}, provisioned {provisioned:.0f}')
    return float(pool['total_capacity_gb'])
