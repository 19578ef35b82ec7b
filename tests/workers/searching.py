"""What each of two workers does that search side by side, for program.py."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from pocketflow.hp_optimizer import OPTIMIZERS, Journal, Trial, TrialResult, search
from pocketflow.hp_optimizer.domain import Values
from pocketflow.hp_optimizer.synthetic import sparsity_problem
from pocketflow.utils.distributed.multi_gpu_wrapper import Workers
from pocketflow.utils.system.interrupts import Interrupted

NUM_TRIALS = 9


def optimizer():
    return OPTIMIZERS.get('ddpg')(sparsity_problem(num_layers=4)[0], 5, NUM_TRIALS, num_warmup=3, num_updates=2)


class Part:
    """What one worker does.

    Args:
      workers: all of them.
      interrupt_at: the evaluation of this worker that SIGTERM arrives in.
    """

    def __init__(self, workers: Workers, interrupt_at: int | None = None):
        self.workers, self.interrupt_at = workers, interrupt_at
        self.evaluated: list[Values] = []
        self.reward = sparsity_problem(num_layers=4)[1]

    def evaluate(self, values: Values, floor: float) -> TrialResult:
        self.evaluated.append(values)
        if len(self.evaluated) == self.interrupt_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return TrialResult(self.reward(values), 1e-17 + self.workers.rank)

    def search(self, folder: Path, **settings: bool) -> Trial:
        chosen = optimizer()
        journal = Journal(folder / f'{self.workers.rank}.jsonl', chosen.domain)
        return search(chosen, self.evaluate, journal, NUM_TRIALS, workers=self.workers, **settings)


def searches(workers: Workers, folder: Path) -> dict[str, object]:
    """Whole, interrupted and continued, and together: what this worker has found, as JSON can hold it."""
    folder.mkdir(exist_ok=True)
    whole, stopped, data = Part(workers), Part(workers, interrupt_at=2 if workers.rank else None), Part(workers)
    found: dict[str, object] = {'best': whole.search(folder / 'whole').number}
    try:
        stopped.search(folder / 'parts')
    except Interrupted as stop:
        found['code'] = stop.exit_code
    found['resumed'] = Part(workers).search(folder / 'parts').number
    data.search(folder / 'data', side_by_side=False)
    counts = [len(part.evaluated) for part in (whole, stopped, data)]
    return {**found, 'counts': counts}
