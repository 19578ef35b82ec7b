"""Asks the runtime which operations of a file its XNNPACK delegate takes.

LiteRT appends one node per part of the graph that a delegate has taken, and keeps the replaced nodes in its list. Which
nodes were replaced follows from the tensors that the new node reads and writes. The native log names no operations.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from pocketflow.utils.errors import first_line
from pocketflow.utils.system.child_process import module_command
from pocketflow.utils.system.quiet import quiet_native_output

DELEGATE = 'DELEGATE'
"""Name of the nodes that a delegate adds."""
TIME_LIMIT = 300.0
"""Seconds for loading a file in another process."""


@dataclasses.dataclass(frozen=True)
class Delegation:
    """The answer of the runtime.

    Attributes:
      parts: for each part of the graph that the delegate computes, the numbers of its operations; None if the runtime
        could not be asked.
      failure: why it could not be asked; '' if it was.
    """

    parts: tuple[frozenset[int], ...] | None
    failure: str = ''

    @property
    def taken(self) -> frozenset[int]:
        """The numbers of all operations that the delegate computes."""
        return frozenset().union(*(self.parts or ()))


def ask(file: str | os.PathLike[str]) -> Delegation:
    """Loads a file in this process, which a file that crashes the runtime would end."""
    try:
        with quiet_native_output():
            interpreter = Interpreter(str(file), num_threads=1)
            interpreter.allocate_tensors()
            nodes = interpreter._get_ops_details()  # there is no public list of nodes
    except (RuntimeError, ValueError) as error:
        return Delegation(None, f'LiteRT cannot load this file ({first_line(error)})')
    return Delegation(tuple(replaced_nodes(nodes)))


def replaced_nodes(nodes: Sequence[Mapping[str, Any]]) -> list[frozenset[int]]:
    """The nodes that each node of a delegate stands for.

    They are those on the way from the tensors that it writes back to the tensors that it reads.

    Args:
      nodes: `index`, `op_name`, `inputs` and `outputs` (numbers of tensors) of each node.
    """
    producers = {
        int(tensor): node for node in nodes if node['op_name'] != DELEGATE for tensor in node['outputs'] if tensor >= 0
    }
    return [_between(node['outputs'], node['inputs'], producers) for node in nodes if node['op_name'] == DELEGATE]


def _between(written: Iterable[int], read: Iterable[int], producers: Mapping[int, Mapping[str, Any]]) -> frozenset[int]:
    seen, found = {int(tensor) for tensor in read}, set()
    waiting = [int(tensor) for tensor in written]
    while waiting:
        tensor = waiting.pop()
        if tensor in seen or tensor not in producers:
            continue
        seen.add(tensor)
        node = producers[tensor]
        found.add(int(node['index']))
        waiting += [int(place) for place in node['inputs']]
    return frozenset(found)


def ask_in_another_process(file: str | os.PathLike[str], time_limit: float = TIME_LIMIT) -> Delegation:
    """As `ask`, for a file of unknown origin: a crash of the runtime becomes the `failure` of the answer."""
    command = [*module_command('pocketflow.utils.export.lint.delegation'), str(Path(file).resolve())]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(command, capture_output=True, timeout=time_limit, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return Delegation(None, f'LiteRT took longer than {time_limit:g} seconds to load this file')
    if done.returncode != 0:
        code = done.returncode
        how = signal.Signals(-code).name if code < 0 else f'exit code {code}'
        return Delegation(None, f'LiteRT crashed while it loaded this file ({how})')
    answer = json.loads(done.stdout)
    if answer['failure']:
        return Delegation(None, answer['failure'])
    return Delegation(tuple(frozenset(part) for part in answer['parts']))


def main(arguments: Sequence[str]) -> None:
    """Prints the answer for the file in `arguments` as JSON."""
    answer = ask(arguments[-1])
    parts = None if answer.parts is None else [sorted(part) for part in answer.parts]
    print(json.dumps({'parts': parts, 'failure': answer.failure}))


if __name__ == '__main__':
    main(sys.argv)
