"""Lints a `.tflite` file: which delegates run its operations, what falls off and why, and the findings of checks."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import pocketflow.utils.export.lint.checks  # noqa: F401 (registers the checks)
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.lint.delegation import Delegation, ask_in_another_process
from pocketflow.utils.export.lint.findings import Finding, Subject, findings
from pocketflow.utils.export.lint.graph import FileGraph, read_graph
from pocketflow.utils.export.lint.macs import operation_macs
from pocketflow.utils.export.lint.observed import observe
from pocketflow.utils.export.lint.rules import DELEGATES
from pocketflow.utils.export.lint.rules.rule import DelegateRules
from pocketflow.utils.export.lint.rules.xnnpack import XNNPACK
from pocketflow.utils.export.lint.sparsity import SparseInference, sparse_inference

UNEXPLAINED = 'LiteRT does not delegate it; the documented rules name no reason'
"""The reason for an operation that complies with the rules, but is not taken."""


@dataclasses.dataclass(frozen=True)
class Support:
    """What a delegate does with a file.

    Attributes:
      name, title: of the delegate.
      taken: numbers of the operations that it takes.
      reasons: for the others, why not.
      is_asked: whether the runtime was asked; otherwise the documented rules were applied.
      num_parts: parts of the graph that it takes; None if it was not asked. Between parts, the CPU takes over.
      note: why it could not be asked; '' if it was, or cannot be.
    """

    name: str
    title: str
    taken: frozenset[int]
    reasons: Mapping[int, str]
    is_asked: bool = False
    num_parts: int | None = None
    note: str = ''

    @property
    def is_complete(self) -> bool:
        return not self.reasons


@dataclasses.dataclass(frozen=True)
class LintResult:
    """The result for one file.

    Attributes:
      graph: of the file.
      macs: multiply-adds of each operation.
      support: of each delegate.
      findings: of all checks.
      sparse: whether XNNPACK's sparse kernels apply; None for files without many zeros.
      is_observed: whether values of samples were at hand.
    """

    graph: FileGraph
    macs: tuple[int, ...]
    support: tuple[Support, ...]
    findings: tuple[Finding, ...]
    sparse: SparseInference | None = None
    is_observed: bool = False

    def share_of_macs(self, support: Support) -> float:
        """The share of the multiply-adds in operations that a delegate takes; 1 for a file without multiply-adds."""
        total = sum(self.macs)
        return sum(self.macs[number] for number in support.taken) / total if total else 1.0

    def of(self, name: str) -> Support:
        """The support by a delegate."""
        return next(each for each in self.support if each.name == name)

    def to_json(self) -> dict[str, Any]:
        return {
            'operations': len(self.graph.operations),
            'macs': sum(self.macs),
            'delegates': [
                {
                    'name': each.name,
                    'title': each.title,
                    'asked': each.is_asked,
                    'operations': len(each.taken),
                    'macs_share': round(self.share_of_macs(each), 6),
                    'parts': each.num_parts,
                    'note': each.note,
                    'falls_off': self._reasons(each),
                }
                for each in self.support
            ],
            'operators': self._rows(),
            'findings': [finding.to_json() for finding in self.findings],
            'sparse': self.sparse and self.sparse.to_json(),
            'observed': self.is_observed,
        }

    def _rows(self) -> list[dict[str, Any]]:
        """For each kind of operation its number, its multiply-adds, and the number that each delegate takes."""
        counts = Counter(operation.name for operation in self.graph.operations)
        macs: Counter[str] = Counter()
        for operation, cost in zip(self.graph.operations, self.macs, strict=True):
            macs[operation.name] += cost
        taken = {
            each.name: Counter(self.graph.operations[number].name for number in each.taken) for each in self.support
        }
        return [
            {
                'operator': name,
                'count': count,
                'macs': macs[name],
                'taken': {each.name: taken[each.name][name] for each in self.support},
            }
            for name, count in sorted(counts.items(), key=lambda item: (-macs[item[0]], -item[1], item[0]))
        ]

    def _reasons(self, support: Support) -> list[dict[str, Any]]:
        """The reasons with the kind and the number of the operations."""
        counts = Counter((self.graph.operations[number].name, why) for number, why in support.reasons.items())
        return [
            {'operator': name, 'count': count, 'reason': why}
            for (name, why), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ]


def lint_file(
    path: str | os.PathLike[str],
    samples: Mapping[str, np.ndarray] | None = None,
    ask: Callable[[str | os.PathLike[str]], Delegation] = ask_in_another_process,
) -> LintResult:
    """Lints a file.

    >>> lint_file(folder / 'model.tflite').of('xnnpack').is_complete
    True

    Args:
      path: of the file.
      samples: real inputs `[N, ...]` by the names of the file's inputs, for the ranges of activations.
      ask: asks the runtime for XNNPACK's delegation; the default guards against a crash.

    Raises:
      UsageError: there is no such file, or it is no `.tflite` file.
    """
    file = Path(path)
    if not file.is_file():
        raise UsageError(f'{path}: there is no such file; give a .tflite file')
    graph = read_graph(file.read_bytes(), str(path))
    observed = None if samples is None else observe(file, graph, samples)
    support = tuple(
        asked_support(graph, ask(file)) if delegate is XNNPACK else support_by_rules(graph, delegate)
        for delegate in DELEGATES
    )
    subject = Subject(
        graph,
        {each.title: each.reasons for each in support},
        observed and observed.extremes,
        observed and observed.sums,
    )
    return LintResult(
        graph,
        tuple(map(operation_macs, graph.operations)),
        support,
        tuple(findings(subject)),
        sparse_inference(graph),
        observed is not None,
    )


def support_by_rules(graph: FileGraph, delegate: DelegateRules, note: str = '') -> Support:
    """What a delegate takes according to its documented rules."""
    reasons = {operation.index: why for operation in graph.operations if (why := delegate.why_not(operation))}
    taken = frozenset(operation.index for operation in graph.operations) - reasons.keys()
    return Support(delegate.name, delegate.title, taken, reasons, note=note)


def asked_support(graph: FileGraph, answer: Delegation) -> Support:
    """What XNNPACK takes according to the runtime, or, where it cannot be asked, to the rules."""
    if answer.parts is None:
        return support_by_rules(graph, XNNPACK, answer.failure)
    taken = answer.taken & frozenset(operation.index for operation in graph.operations)
    reasons = {
        operation.index: XNNPACK.why_not(operation) or UNEXPLAINED
        for operation in graph.operations
        if operation.index not in taken
    }
    return Support(XNNPACK.name, XNNPACK.title, taken, reasons, True, len(answer.parts))
