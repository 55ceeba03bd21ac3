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

"""Exit codes, and the errors that end a command with one of them."""

from __future__ import annotations

import enum


class Outcome(enum.IntEnum):
    """What the exit code of a command says."""

    CLEAN = 0
    """All is well, or the command did what it was asked for."""

    FINDINGS = 1
    """Something is wrong with what was looked at."""

    USAGE = 2
    """The command line or the configuration is wrong."""

    SILENT = 3
    """Some cluster could not be asked; what was printed is incomplete."""

    FAILED = 4
    """The command could not be carried out."""

    INTERRUPTED = 130
    """It was interrupted, as a shell tells of SIGINT."""

    UNREAD = 141
    """Who read the output was gone, as a shell tells of SIGPIPE."""


class CommandError(Exception):
    """Ends a command; the message is for the operator and has no secrets."""

    outcome = Outcome.FAILED


class UsageError(CommandError):
    """An argument or an option of the configuration is wrong."""

    outcome = Outcome.USAGE


class SilentError(CommandError):
    """What was asked for cannot be said without a cluster that is silent."""

    outcome = Outcome.SILENT


class FailedError(CommandError):
    """What was asked for is not there, or was refused."""

    outcome = Outcome.FAILED


class InterruptedCommand(CommandError):
    """The operator has ended it; the message says how to go on."""

    outcome = Outcome.INTERRUPTED
