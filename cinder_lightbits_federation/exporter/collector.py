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
"""Brings the metrics together for each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import logging
import time

from prometheus_client import core
from prometheus_client import registry

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.exporter.arrays import gauge
from cinder_lightbits_federation.exporter.arrays import Metrics

LOG = logging.getLogger(__name__)

Source = Callable[[], Iterable[core.Metric]]


class Collector(registry.Collector):
    """Asks each source at each scrape; one that fails does not fail all.

    :param sources: by name; a source does its own work when it is called.
        What one has given before it fails is shown.
    :param failures: what sources may raise.
    """

    def __init__(self, sources: Mapping[str, Source],
                 failures: tuple[type[Exception], ...] = ()) -> None:
        self._sources = sources
        self._failures: tuple[type[Exception], ...] = (
            errors.FederationError, *failures)

    def collect(self) -> Metrics:
        """:returns: all that could be found out, and what could not."""
        worked = gauge('exporter_source_up', 'Whether a part of the figures '
                       'could be found out.', ['source'])
        took = gauge('exporter_source_seconds', 'How long that took.',
                     ['source'])
        for name, source in self._sources.items():
            began = time.monotonic()
            found: list[core.Metric] = []
            try:
                found.extend(source())
            except self._failures as exc:
                LOG.error('No new figures of %s: %s', name,
                          str(exc).partition('\n')[0])
                worked.add_metric([name], 0)
            else:
                worked.add_metric([name], 1)
            took.add_metric([name], time.monotonic() - began)
            yield from found
        yield from (worked, took)
