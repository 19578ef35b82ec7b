"""The journal of a search: one line of JSON per trial, from which an interrupted search continues."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging

from pocketflow.hp_optimizer.domain import Domain, Value
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.runs.records import Number, copy_damaged, parsed
from pocketflow.utils.system import atomic

SCHEMA = 1
HEADER_SHAPE = {'schema': int, 'fingerprint': str}
TRIAL_SHAPE = {
    'number': int,
    'values': {...: (float, str)},
    'cost': (Number(low=0), None),
    'reward': (Number(), None),
    'seconds?': Number(low=0),
    'seed?': int,
    'extra': {'before?': Number(), 'screened?': bool, 'same_as?': int},
}
"""Shapes of the lines; see `pocketflow.utils.runs.records`."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """A candidate and its reward.

    Attributes:
      number: counted from 1.
      values: the candidate, name -> value.
      cost: its cost in the units of the budget; None if there is no budget.
      reward: its measured reward; None if it was not finite (a diverged training) or not measured.
      seconds: duration of the evaluation; 0 if an earlier trial had the same candidate.
      seed: seed of the optimizer that proposed it.
      extra: optional entries: `before`, the reward before tuning; `screened`, true if the candidate was not tuned
        because that reward was below the floor; `same_as`, the number of an earlier trial of the same candidate.
    """

    number: int
    values: Mapping[str, Value]
    cost: float | None
    reward: float | None
    seconds: float = 0.0
    seed: int = 0
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)


TRIAL_KEYS = frozenset(field.name for field in dataclasses.fields(Trial))


class Journal:
    """The trials of a search, in a file to which whole lines are appended, flushed and synced to the disk.

    The first line holds the fingerprint of the domain. An incomplete last line, left by a killed process, is dropped;
    if it is not the beginning of a JSON line, a copy of the file is kept.

    Args:
      path: the file, created with the first trial; None keeps the trials in memory only.
      domain: the search domain.
      context: further inputs that determine a reward (number of fine-tuning steps, data set, model).

    Raises:
      UsageError: the file holds the trials of another search, or is no journal.
    """

    def __init__(self, path: str | os.PathLike[str] | None, domain: Domain, context: Mapping[str, Any] | None = None):
        self.path = None if path is None else Path(path)
        self._domain, self.fingerprint = domain, domain.fingerprint(context)
        self.trials: list[Trial] = []
        if self.path is not None and self.path.exists():
            self._read(self.path)

    def _read(self, path: Path) -> None:
        content = path.read_bytes()
        whole = content[: content.rfind(b'\n') + 1]
        if len(whole) < len(content):
            self._drop(path, content[len(whole) :], len(whole))
        lines = whole.decode('utf-8', errors='replace').split('\n')[:-1]
        if lines:
            self._check_header(lines[0])
            self.trials = [self._trial(number, line) for number, line in enumerate(lines[1:], 1)]

    def _drop(self, path: Path, tail: bytes, length: int) -> None:
        """Truncates the file after its last whole line; a tail that no journal has written is saved in a copy first."""
        if not tail.startswith(b'{'):
            logging.warning(
                '%s: damaged after its first %d bytes; the rest is dropped, and the damaged file is kept as %s',
                path,
                length,
                copy_damaged(path).name,
            )
        os.truncate(path, length)

    def _check_header(self, line: str) -> None:
        header = parsed(line.encode(), HEADER_SHAPE)
        if header is None:
            raise UsageError(f'{self.path} is not a search journal: its first line is {line[:80]!r}')
        schema, fingerprint = header['schema'], header['fingerprint']
        if schema != SCHEMA:
            raise UsageError(f'{self.path} is a search journal of schema {schema}; this version reads {SCHEMA}')
        if fingerprint != self.fingerprint:
            raise UsageError(
                f'{self.path} is the journal of another search (fingerprint {fingerprint}, not '
                f'{self.fingerprint}): its layers, bounds, budget or evaluation differ; use another run '
                'directory, or delete it'
            )

    def _trial(self, number: int, line: str) -> Trial:
        entry = parsed(line.encode(), TRIAL_SHAPE)
        if entry is None or entry.keys() - TRIAL_KEYS or not self._is_candidate(entry) or entry['number'] != number:
            raise PocketFlowError(
                f'{self.path}: line {number + 1} is no trial: {line[:80]!r}; delete it and the lines '
                'after it to continue the search from there'
            )
        return Trial(**entry)

    def _is_candidate(self, entry: Mapping[str, Any]) -> bool:
        """Whether a trial's values belong to the domain and its `same_as` refers to an earlier trial."""
        try:
            self._domain.encode(entry['values'])
        except (UsageError, TypeError, ValueError):  # for example strings in place of numbers
            return False
        return 1 <= entry['extra'].get('same_as', 1) <= max(1, entry['number'] - 1)

    def append(self, *trials: Trial) -> None:
        """Appends trials; they are on the disk when this returns."""
        self.trials.extend(trials)
        if self.path is None or not trials:
            return
        is_new = not self.path.exists() or not self.path.stat().st_size
        self.path.parent.mkdir(exist_ok=True)
        header = [{'schema': SCHEMA, 'fingerprint': self.fingerprint}] if is_new else []
        lines = [json.dumps(entry, allow_nan=False) + '\n' for entry in (*header, *map(dataclasses.asdict, trials))]
        with atomic.naming(self.path), open(self.path, 'a', encoding='utf-8') as file:
            file.write(''.join(lines))
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            atomic.sync(self.path.parent)

    def follow(self, trials: Sequence[Trial]) -> None:
        """Copies the trials of the primary's journal and stops writing; only the primary writes the file."""
        self.path, self.trials = None, list(trials)

    def best(self) -> Trial | None:
        """The first trial with the largest reward."""
        return best_of(self.trials)


def first_of(trials: Iterable[Trial], values: Mapping[str, Value]) -> Trial | None:
    """The first trial with the candidate `values`; None if there is none."""
    return next((trial for trial in trials if trial.values == values), None)


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """The first trial with the largest reward; None if no trial has a reward."""
    measured = ((trial.reward, trial) for trial in trials if trial.reward is not None)
    _, best = max(measured, key=lambda pair: pair[0], default=(None, None))
    return best
