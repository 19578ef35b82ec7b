"""Two workers on this machine, over Gloo: what they compute and search together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pocketflow.hp_optimizer import Journal, Trial
from pocketflow.hp_optimizer.synthetic import sparsity_problem
from tests.workers.launching import launch, needs_horovod
from tests.workers.results import both, check_exchanges
from tests.workers.searching import NUM_TRIALS, optimizer

PROGRAM = Path(__file__).with_name('program.py')
NUM_SAMPLES = 96

pytestmark = needs_horovod
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope='module')
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Arrays, Arrays, Path]:
    """What worker 0 and worker 1 of `program.py` have found, and the folder that they wrote to."""
    folder = tmp_path_factory.mktemp('workers')
    ended = launch([PROGRAM, folder], folder / 'tmp')
    assert ended.returncode == 0, ended.stderr
    primary, other = (dict(np.load(folder / f'{rank}.npz')) for rank in range(2))
    return primary, other, folder


def test_tensors_arrive(results):
    check_exchanges(results)


def test_files_of_the_primary_but_for_checkpoints_reach_the_others(results):
    own, mirrored = (set(part['mirrored']) for part in results[:2])
    assert len(own) == 4
    assert mirrored == {line for line in own if 'checkpoints' not in line} and len(mirrored) == 2


def test_together_they_see_each_sample_once_per_epoch(results):
    one, two = (part['seen'] for part in results[:2])
    assert one.shape == two.shape == (12, 8)
    for epoch in (slice(0, 6), slice(6, 12)):
        assert sorted([*one[epoch].ravel(), *two[epoch].ravel()]) == list(range(NUM_SAMPLES))


def test_metrics_are_means_over_the_workers(results):
    seen = np.stack([part['seen'] for part in results[:2]])
    wanted = seen[:, :10].mean()
    for rank in range(2):
        lines = (results[2] / f'log{rank}' / 'metrics.jsonl').read_text().splitlines()
        np.testing.assert_allclose(json.loads(lines[0])['label'], wanted, rtol=1e-6)
    assert abs(seen[0, :10].mean() - wanted) > 0.1


def test_two_workers_train_as_one_with_their_batches(results):
    np.testing.assert_allclose(both(results, 'sgd'), results[0]['sgd_alone'], atol=1e-5)


@pytest.mark.parametrize('kind', ['norm', 'half', 'chunked', 'low_rank'])
def test_all_end_with_the_same_weights(results, kind):
    assert np.isfinite(both(results, f'weights_{kind}')).all()


def test_a_signal_to_one_worker_stops_both_at_the_same_step(results):
    code, step = both(results, 'stopped')
    assert code == 143 and 15 <= step < 40


def test_interrupted_and_continued_is_as_uninterrupted(results):
    """With batch normalisation, with dropout, and with errors that are each worker's own."""
    np.testing.assert_array_equal(both(results, 'whole'), both(results, 'resumed'))
    for part in results[:2]:
        np.testing.assert_array_equal(part['whole_errors'], part['resumed_errors'])
    assert (results[0]['whole_errors'] != results[1]['whole_errors']).any()


def test_one_worker_continues_what_two_have_begun(results):
    primary, other, _ = results
    np.testing.assert_array_equal(both(results, 'two'), primary['one'])
    assert primary['one_step'] == 40  # 20 steps of twice as many samples
    pending = (primary['two_error'] + other['two_error']) / 2 + np.concatenate(
        [primary['two_chunk_error'], other['two_chunk_error']]
    )
    np.testing.assert_allclose(primary['one_error'], pending, atol=1e-7)
    assert np.abs(pending).max() > 1e-3


def test_two_workers_continue_what_one_has_begun(results):
    assert both(results, 'two_again_step') == 23
    assert np.isfinite(both(results, 'two_again')).all() and np.isfinite(results[0]['one_end']).all()


def trials(folder: Path) -> list[Trial]:
    """What the primary wrote; the other one must have written nothing."""
    assert [path.name for path in folder.iterdir()] == ['0.jsonl']
    return Journal(folder / '0.jsonl', optimizer().domain).trials


@pytest.fixture(scope='module')
def folder(results: tuple[Arrays, Arrays, Path]) -> Path:
    """What the searches of both have written."""
    return results[2] / 'search'


@pytest.fixture(scope='module')
def found(results: tuple[Arrays, Arrays, Path]) -> list[dict]:
    return [json.loads((results[2] / f'search{rank}.json').read_text()) for rank in range(2)]


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
    assert [one['counts'][2] for one in found] == [NUM_TRIALS] * 2
    alone, reward = optimizer(), sparsity_problem(num_layers=4)[1]
    for trial in trials(folder / 'data'):
        assert trial.values == alone.ask() and trial.extra == {'before': 1e-17}
        alone.tell(trial.values, reward(trial.values))


def test_pruned_weights_are_alike(results: tuple[Arrays, Arrays, Path]):
    """After a whole run of the program in the same processes."""
    one, two = ((results[2] / f'sparse{rank}.jsonl').read_text() for rank in range(2))
    assert one == two and [json.loads(line)[0] for line in one.splitlines()] == ['1-full-prec', '2-weight-sparse']
    assert json.loads((results[2] / 'sparse' / 'report.json').read_text())['stages'][1]['learner'] == 'weight-sparse'
