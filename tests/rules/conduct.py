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

"""What no module of the two packages may do."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.rules.source import imports
from tests.rules.source import Source

# The one module that may wait.
WAITER = 'cinder_lightbits_federation.timing'

# Functions that run at the top of a thread of ours, as "module:function":
# there, and only there, anything may be caught, since nobody is above.
THREAD_TOPS = frozenset({
    'cinder_lightbits_federation.exporter.rounds:_run',
    'cinder_lightbits_federation.jobs.runner:_look',
    'cinder_lightbits_federation.jobs.runner:_work',
    'cinder_lightbits_federation.keeper:_look',
    'cinder_lightbits_federation.sweeper:_look',
    'cinder_lightbits_federation.watcher:_look',
    'os_brick_ext.leaving:tidy',
    'os_brick_ext.parallel:work',
})

GREEN = frozenset({'eventlet', 'gevent', 'greenlet'})
BROAD = frozenset({'Exception', 'BaseException'})
CLOCKS = frozenset({'monotonic', 'monotonic_ns', 'perf_counter', 'time',
                    'time_ns'})


def green_threads(source: Source) -> Iterator[str]:
    """The threading model is the service's choice, not ours."""
    for item in imports(source):
        if item.top in GREEN:
            yield source.finding(
                item.line, f'{item.top} must not be imported; threading is '
                'right in both models')


def _called_name(node: ast.Call) -> str:
    """The last part of what is called: ``sleep`` of ``time.sleep()``."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ''


def _is_clock(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCKS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == 'time')


def _ends_by_clock(loop: ast.While) -> bool:
    """Whether a clock is read in a condition of the loop.

    Reading it elsewhere in the loop, to measure or to log, is no waiting.
    """
    conditions = [loop.test] + [
        node.test for node in ast.walk(loop) if isinstance(node, ast.If)]
    return any(
        _is_clock(node)
        for condition in conditions for node in ast.walk(condition))


def waiting(source: Source) -> Iterator[str]:
    """Sleeps, and loops that watch a clock, outside the waiter."""
    if source.module == WAITER:
        return
    for node in ast.walk(source.tree()):
        if isinstance(node, ast.Call) and _called_name(node) == 'sleep':
            yield source.finding(node.lineno, 'sleeps; use the waiter')
        if isinstance(node, ast.While) and _ends_by_clock(node):
            yield source.finding(
                node.lineno, 'loops on a clock; use the waiter')
    for item in imports(source):
        if item.name.endswith('.sleep'):
            yield source.finding(item.line, 'imports sleep; use the waiter')


def _is_broad(caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(item) for item in caught.elts)
    name = caught.attr if isinstance(caught, ast.Attribute) else getattr(
        caught, 'id', '')
    return name in BROAD


def _passes_on(handler: ast.ExceptHandler) -> bool:
    """Whether what was caught goes on after some cleaning up."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


class _Handlers(ast.NodeVisitor):
    """Collects broad handlers together with the function around them."""

    def __init__(self) -> None:
        self.found: list[tuple[str, int]] = []
        self._functions = ['']

    def visit_FunctionDef(
            self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._functions.append(node.name)
        self.generic_visit(node)
        self._functions.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if _is_broad(node.type) and not _passes_on(node):
            self.found.append((self._functions[-1], node.lineno))
        self.generic_visit(node)


def broad_handlers(
        source: Source,
        thread_tops: frozenset[str] = THREAD_TOPS) -> Iterator[str]:
    """Handlers that keep anything, elsewhere than at a thread's top."""
    visitor = _Handlers()
    visitor.visit(source.tree())
    for function, line in visitor.found:
        if f'{source.module}:{function}' not in thread_tops:
            yield source.finding(
                line, 'catches everything; name what is expected')


def unused_thread_tops(
        sources: list[Source],
        thread_tops: frozenset[str] = THREAD_TOPS) -> Iterator[str]:
    """Permissions for handlers that are not there any more."""
    used = set()
    for source in sources:
        visitor = _Handlers()
        visitor.visit(source.tree())
        used |= {f'{source.module}:{name}' for name, _line in visitor.found}
    yield from sorted(
        f'{name} catches nothing broad' for name in thread_tops - used)
