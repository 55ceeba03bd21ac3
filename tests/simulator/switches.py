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

"""Behaviours of a cluster that no public source settles, as switches.

Each field of :class:`Switches` is one open question; its description names
the behaviours and the default is the likeliest one. Tests of clients run
against every setting.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import typing

from tests.simulator import errors

Choice = bool | int | str


def _switch(default: Choice, choices: tuple[Choice, ...], doc: str) -> Choice:
    metadata = {'choices': choices, 'doc': doc}
    field: Choice = dataclasses.field(default=default, metadata=metadata)
    return field


def _flag(default: bool, doc: str) -> bool:
    return typing.cast(bool, _switch(default, (True, False), doc))


def _status(default: int, choices: tuple[int, ...], doc: str) -> int:
    return typing.cast(int, _switch(default, choices, doc))


def _word(default: str, choices: tuple[str, ...], doc: str) -> str:
    return typing.cast(str, _switch(default, choices, doc))


def _number(default: int, doc: str) -> int:
    return typing.cast(int, _switch(default, (), doc))


@dataclasses.dataclass(frozen=True, slots=True)
class Switches:
    """The settings of one cluster; immutable, replaced whole."""

    # Errors
    etag_mismatch: int = _status(
        412,
        (412, 400, 500),
        'Status of an If-Match that does not hold: 412 as documented, 400 '
        'as a stock gateway maps it, 500 with `code:412` in its text.',
    )
    failed_precondition: int = _status(
        400,
        (400, 412),
        'Status of a refusal because of the state (Deleting, Failed, source '
        'Updating): 400 as a stock gateway maps it, or 412.',
    )
    busy_status: int = _status(
        503,
        (503, 409),
        'Status while an object is Creating, Updating or in Rollback: 503 '
        '(temporary state) or 409 (a user operation is in progress).',
    )
    delete_twice: int = _status(
        400,
        (400, 412, 200),
        'Status of deleting what is Deleting: 400 as documented, 412 as '
        'seen live, 200 as a repetition without effect.',
    )
    delete_missing: int = _status(
        404,
        (404, 500),
        'Status of deleting what does not exist: 404, or 500 as releases '
        'before 3 answered.',
    )
    unknown_project: str = _word(
        'guess',
        ('guess', '400', '403', '404'),
        'Status of a cluster-wide token naming an unknown project; `guess` '
        "is 404 for snapshot lists and 400 for all else. A project's token "
        'always gets 403.',
    )
    missing_credential: int = _status(
        404,
        (404, 400),
        'Status of reading a missing credential: 404, or 400 as seen by '
        'one client.',
    )
    etag_before_state: bool = _flag(
        False,
        'Whether If-Match is checked before the state: no, the state '
        'comes first; yes, the ETag does.',
    )
    rate_limit: int = _number(
        0,
        'Requests a second one cluster answers before 429; 0 is no limit.',
    )
    # Replies
    emit_defaults: bool = _flag(
        False,
        'Zero values in replies: left out (stock), or all spelt out.',
    )
    creation_time_while_creating: bool = _flag(
        True,
        'Whether a volume in Creating shows `creationTime`.',
    )
    nsid_while_creating: bool = _flag(
        False,
        'Whether a volume in Creating shows `nsid`.',
    )
    list_order: str = _word(
        'uuid',
        ('uuid', 'creation'),
        'Order of lists: by UUID, or by creation.',
    )
    limit_over_max: str = _word(
        'clamped',
        ('clamped', '400'),
        'A page limit above 1000: taken as 1000, or refused with 400.',
    )
    name_lookup_prefers_live: bool = _flag(
        True,
        'Which of two namesakes a lookup finds: the one that is not '
        'Deleting, or the one in Deleting.',
    )
    acl_order: str = _word(
        'kept',
        ('kept', 'sorted'),
        'Order of ACL values in replies: as sent, or sorted.',
    )
    # ETags
    first_etag: int = _status(
        0, (0, 1), 'The ETag of a new object before anything changed it.'
    )
    bump_etag_on_state: bool = _flag(
        True,
        'Whether a change of state by the cluster itself (Creating to '
        'Available) changes the ETag, or only the acceptance of a call.',
    )
    snapshot_changes_volume: str = _word(
        'no',
        ('no', 'taken', 'taken and removed'),
        'Whether a snapshot changes the ETag of its volume: never, when it is '
        'taken, or when it is removed as well.',
    )
    if_match_star: str = _word(
        'literal',
        ('literal', 'any'),
        '`If-Match: *`: compared like any value, or holds always.',
    )
    # Life of objects
    failed_deletable: bool = _flag(
        True,
        'Whether a Failed object can be deleted: yes, or refused as '
        'documented.',
    )
    failed_reserves_name: bool = _flag(
        True,
        'Whether a Failed object keeps its name: yes (create answers 409), '
        'or a new object may take it.',
    )
    snapshot_delete_waits_for_clones: bool = _flag(
        False,
        'A snapshot with clones: its delete completes, or it stays Deleting '
        'until the last clone is gone.',
    )
    snapshot_of_deleting_name: str = _word(
        'fails',
        ('fails', '409'),
        'A new snapshot with the name of one in Deleting: accepted and then '
        'Failed, or refused with 409.',
    )
    volume_delete_with_snapshots: str = _word(
        'accepted',
        ('accepted', '400'),
        'Deleting a volume that has snapshots: accepted (they survive it), '
        'or refused with 400.',
    )
    clone_must_match: bool = _flag(
        True,
        'Whether replicas, compression and sector size of a clone must be '
        'those of its snapshot (else 400), or are free.',
    )
    rollback_keeps_newer: bool = _flag(
        True,
        'Snapshots newer than the one rolled back to: kept, or removed.',
    )
    rollback_foreign: str = _word(
        '400',
        ('400', 'accepted'),
        'Rollback to the snapshot of another volume: refused, or done.',
    )
    rollback_checks_etag: bool = _flag(
        True, 'Whether rollback honours If-Match.'
    )
    update_while_migrating: str = _word(
        'accepted',
        ('accepted', '503'),
        'An update of a volume in Migrating: accepted, or refused as busy.',
    )
    same_size_update: str = _word(
        'accepted',
        ('accepted', '400'),
        'An update to the size a volume has: accepted, or refused.',
    )
    clear_labels_with_empty: bool = _flag(
        False,
        'An empty `labels` list in an update: taken as absent (proto3), or '
        'removes all labels.',
    )
    # Limits and grammar
    label_key_prefix: str = _word(
        'stripped',
        ('stripped', 'kept'),
        'A label key with `-` or `.`: cut to its last part, or kept.',
    )
    size_fractions: bool = _flag(
        False, 'Whether sizes such as `1.5 gib` are accepted.'
    )
    round_size: bool = _flag(
        True,
        'Whether sizes are rounded up to 4 KiB, or kept exact as by some '
        'older releases.',
    )
    max_volume_size: int = _number(
        1 << 48, 'Bytes above which a volume is refused with 400.'
    )
    max_volumes: int = _number(
        0, 'Volumes one cluster holds before 429; 0 is no limit.'
    )
    max_acl_hosts: int = _number(
        0, 'Host NQNs one `acl` holds before 400; 0 is no limit.'
    )
    # Capacity
    replicas_in_logical: bool = _flag(
        True,
        "Whether the cluster's `logicalStorage` counts every replica, or "
        'each volume once.',
    )
    compression_ratio_direction: str = _word(
        'used_over_physical',
        ('used_over_physical', 'physical_over_used'),
        '`compressionRatio`: logical over physical (1 or more), or the '
        'inverse.',
    )
    inactive_nodes_counted: bool = _flag(
        True,
        "Whether the cluster's managed, effective and free space include "
        'inactive nodes.',
    )
    create_overflow: str = _word(
        'failed',
        ('failed', '400', '429'),
        'A volume that fits no longer: accepted and then Failed, or refused '
        'with 400 or 429.',
    )
    # Access
    multi_tenancy: bool = _flag(
        True,
        'Whether a token is required. Without, a request without one acts '
        'as a cluster admin.',
    )
    tenants_read_nodes: bool = _flag(
        True, "Whether a project's token may read the nodes, or gets 403."
    )
    tenants_read_policies: bool = _flag(
        True, "Whether a project's token may read QoS policies, or gets 403."
    )
    # Releases
    version: str = _word(
        '3.19.2~b123',
        (),
        'The release. Below 3.9 no creationTime, below 3.11 no labels, '
        'below 3.16 no rename, below 3.18 no pgUUID.',
    )
    old_new_name: str = _word(
        'ignored',
        ('ignored', '400'),
        '`newName` on a release without rename: ignored like any unknown '
        'field, or refused with 400.',
    )

    def replaced(
        self, values: collections.abc.Mapping[str, object]
    ) -> Switches:
        """Return the switches with `values` set.

        :raises ControlError: an unknown switch or a value it cannot take.
        """
        fields = {item.name: item for item in dataclasses.fields(self)}
        changes: dict[str, Choice] = {}
        for name, value in values.items():
            if name not in fields:
                raise errors.ControlError(
                    f'unknown switch {name!r}; known are: '
                    + ', '.join(sorted(fields))
                )
            changes[name] = _parse(name, fields[name], value)
        return dataclasses.replace(self, **typing.cast(typing.Any, changes))

    def has(self, major: int, minor: int) -> bool:
        """Whether the release is `major`.`minor` or newer."""
        return release(self.version) >= (major, minor)


def _parse(
    name: str, field: dataclasses.Field[typing.Any], value: object
) -> Choice:
    choices: tuple[Choice, ...] = field.metadata['choices']
    for choice in choices:
        if str(choice).lower() == str(value).lower():
            return choice
    if choices:
        known = ', '.join(str(choice) for choice in choices)
        raise errors.ControlError(
            f'switch {name}: {value!r} is not one of {known}'
        )
    default = typing.cast(Choice, field.default)
    return _parse_free(name, default, value)


def _parse_free(name: str, default: Choice, value: object) -> Choice:
    if isinstance(default, str):
        release(str(value))
        return str(value)
    text = str(value)
    if isinstance(value, bool) or not text.isdecimal():
        raise errors.ControlError(
            f'switch {name}: {value!r} is not a whole number of 0 or more'
        )
    return int(text)


def release(version: str) -> tuple[int, int]:
    """Return the first two numbers of a version such as ``3.19.2~b1``.

    :raises ControlError: `version` does not begin with two numbers.
    """
    parts = version.split('.')
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        raise errors.ControlError(
            f'switch version: {version!r} does not begin with MAJOR.MINOR'
        )
    return int(parts[0]), int(parts[1])


def describe() -> dict[str, dict[str, object]]:
    """Return every switch with its default, choices and description."""
    return {
        item.name: {
            'default': item.default,
            'choices': list(item.metadata['choices']),
            'description': item.metadata['doc'],
        }
        for item in dataclasses.fields(Switches)
    }
