"""From a checked command to what modes are given, for each worker its part."""

from __future__ import annotations

import dataclasses

import pytest

from pocketflow.learners.program import start
from pocketflow.learners.program.checks import checked_command
from pocketflow.utils.distributed.multi_gpu_wrapper import Alone
from pocketflow.utils.errors import UsageError
from tests.conftest import TASK


class Worker(Alone):
    """One of three."""

    size = 3

    def __init__(self, rank: int):
        self.rank = rank


@pytest.fixture
def seen(tmp_path, monkeypatch) -> list:
    """The invocations that a mode was given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(start.logging, 'set_verbosity', lambda level: None)
    given = []
    monkeypatch.setattr(start, 'EXEC_MODES', dict.fromkeys(start.EXEC_MODES, given.append))
    return given


def command(*arguments: str):
    return checked_command(['main.py', *TASK, *arguments])


def test_values_of_flags_reach_the_invocation(seen):
    start.run_worker(
        command('--learner=chn-pruned-rmt', '--cpr_prune_ratio=0.3', '--seed=7', '--lrn_rate_init=0.05'), Alone()
    )
    (invocation,) = seen
    assert invocation.learner_names == ('chn-pruned-rmt',) and invocation.seed == 7
    assert invocation.learner_options['chn-pruned-rmt'].prune_ratio == 0.3
    assert invocation.helper.net.learning_rate == 0.05
    assert invocation.command.startswith('python main.py --model=lenet --dataset=digits --learner=')
    assert '--cpr_prune_ratio=0.3' in invocation.recorded_flags


@pytest.mark.parametrize('rank', [0, 2])
def test_all_workers_train_each_with_its_share(seen, rank):
    start.run_worker(command(), Worker(rank))
    (invocation,) = seen
    assert (invocation.helper.dataset.shard.rank, invocation.helper.dataset.shard.size) == (rank, 3)
    assert invocation.run.path.name.endswith('-3workers')
    assert '# workers=3' in invocation.recorded_flags and invocation.workers.rank == rank


@pytest.mark.parametrize(('rank', 'count'), [(0, 1), (1, 0)])
def test_other_modes_are_for_the_primary_alone(seen, tmp_path, rank, count):
    model = tmp_path / 'model.keras'
    start.run_worker(command('--exec_mode=eval', f'--save_path={model}'), Worker(rank))
    assert len(seen) == count
    assert all(invocation.workers.size == 1 and invocation.helper.dataset.shard.size == 1 for invocation in seen)


def test_an_address_that_tensorflow_cannot_read_is_refused_before_anything_is_loaded(seen):
    given = checked_command(['main.py', '--model=resnet', '--dataset=cifar10', '--data_dir_local=nosuch://bucket/data'])
    given = dataclasses.replace(given, pair=dataclasses.replace(given.pair, load=None))
    with pytest.raises(UsageError, match='nosuch://bucket/data: TensorFlow has no file system here for addresses with'):
        start.make_invocation(given)
