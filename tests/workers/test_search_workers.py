"""Two workers on this machine, over Gloo, search side by side; this file is also what they run.

python scripts/workers/launch.py -n=2 -- python tests/workers/test_search_workers.py FOLDER
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from pocketflow.hp_optimizer import OPTIMIZERS, Journal, Trial, TrialResult, search
from pocketflow.hp_optimizer.domain import Values
from pocketflow.hp_optimizer.synthetic import sparsity_problem
from pocketflow.utils.distributed.multi_gpu_wrapper import MultiGpuOptions, Workers, connect
from pocketflow.utils.system.interrupts import Interrupted
from tests.workers.launching import launch, needs_horovod

NB_TRIALS = 9

pytestmark = needs_horovod


def optimizer():
    return OPTIMIZERS.get('ddpg')(sparsity_problem(num_layers=4)[0], 5, NB_TRIALS, num_warmup=3, num_updates=2)


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
        return search(chosen, self.evaluate, journal, NB_TRIALS, workers=self.workers, **settings)


def results(workers: Workers, folder: Path) -> dict[str, object]:
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


def trials(folder: Path) -> list[Trial]:
    """What the primary wrote; the other one must have written nothing."""
    assert [path.name for path in folder.iterdir()] == ['0.jsonl']
    return Journal(folder / '0.jsonl', optimizer().domain).trials


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('search')
    ended = launch([__file__, folder], folder / 'tmp')
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture(scope='module')
def found(folder: Path) -> list[dict]:
    return [json.loads((folder / f'{rank}.json').read_text()) for rank in range(2)]


def test_they_share_the_trials_and_agree_on_the_best(folder: Path, found: list[dict]):
    whole = trials(folder / 'whole')
    assert [one['counts'][0] for one in found] == [5, 4]
    assert [trial.extra['before'] for trial in whole] == [1e-17, 1.0] * 4 + [1e-17]
    reward = sparsity_problem(num_layers=4)[1]
    assert [trial.reward for trial in whole] == [reward(trial.values) for trial in whole]
    assert found[0]['best'] == found[1]['best'] == 1 + int(np.argmax([trial.reward for trial in whole]))


def test_a_signal_to_one_ends_both_and_both_continue_as_if_nothing_had_happened(folder: Path, found: list[dict]):
    assert [(one['code'], one['counts'][1]) for one in found] == [(143, 2), (143, 2)]
    whole, parts = trials(folder / 'whole'), trials(folder / 'parts')
    assert [(trial.values, trial.reward) for trial in parts] == [(trial.values, trial.reward) for trial in whole]
    assert found[0]['resumed'] == found[1]['resumed'] == found[0]['best']


def test_together_they_do_as_one(folder: Path, found: list[dict]):
    assert [one['counts'][2] for one in found] == [NB_TRIALS] * 2
    alone, reward = optimizer(), sparsity_problem(num_layers=4)[1]
    for trial in trials(folder / 'data'):
        assert trial.values == alone.ask() and trial.extra == {'before': 1e-17}
        alone.tell(trial.values, reward(trial.values))


def main() -> None:
    folder, workers = Path(sys.argv[1]), connect(MultiGpuOptions(enabled=True))
    (folder / f'{workers.rank}.json').write_text(json.dumps(results(workers, folder)))


if __name__ == '__main__':
    main()
