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

"""Jobs that a command does by itself, on the host where it was given.

Services do none of them: what they write is of one host. But once the end of
one is asked for and its command has died, any service ends it.
"""

from __future__ import annotations

from cinder_lightbits_federation.copy.errors import Cancelled
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.jobs.runner import Task

ATTACH = 'attach'
DETACH = 'detach'
KINDS = frozenset({ATTACH, DETACH})

# In the parameters: the command line. It has no secrets.
COMMAND = 'command'
# In the checkpoint: what is done now, of which one step changes a file.
STEP = 'step'
WRITE = 'write'


def finish(task: Task) -> None:
    """End a job whose command has died, as was asked for.

    :raises Cancelled: nothing was changed.
    :raises OperationFailed: nobody can tell.
    """
    if task.job.checkpoint.get(STEP) == WRITE:
        raise errors.OperationFailed(
            'the command has ended while it changed the file of the '
            'cluster; "cluster status" tells who knows it')
    raise Cancelled(f'the {task.job.kind} of {task.job.subject} was given up')
