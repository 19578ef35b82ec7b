"""How many workers make a run: its directory, and the model that it trains first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pocketflow.learners.program.identity import free_flags, recorded_lines, run_path, training_name
from pocketflow.learners.program.start import make_invocation
from pocketflow.utils.distributed.multi_gpu_wrapper import Alone
from pocketflow.utils.runs.run_directory import RunDirectory
from tests.conftest import command

TASK = ('--model=lenet', '--dataset=digits', '--enbl_multi_gpu')
PRUNE = (*TASK, '--learner=chn-pruned-rmt')
ECQ = '--grad_compression=ecq'


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


class Several(Alone):
    """The primary of so many workers."""

    def __init__(self, size: int):
        self.size = size


def begin(arguments: tuple[str, ...], num_workers: int, finish: bool = False) -> Path:
    """A run directory as so many workers leave it."""
    invocation = make_invocation(command(*arguments), Several(num_workers))
    invocation.run.acquire(invocation.recorded_flags, invocation.free_flags)
    invocation.run.release()
    if finish:
        (invocation.run / 'report.json').write_text('{}')
    return invocation.run.path.relative_to(Path.cwd())


def test_models_trained_by_other_numbers_of_workers_are_other_models():
    names = [training_name(command(*PRUNE), size) for size in (1, 2, 3)]
    assert len(set(names)) == 3
    assert names[0] == training_name(command('--model=lenet', '--dataset=digits'))


def test_models_trained_with_other_gradients_are_other_models():
    kinds = [(), ('--grad_compression=fp16',), (ECQ,), (ECQ, '--ecq_bits=4'), (ECQ, '--ecq_error_coeff=0')]
    assert len({training_name(command(*PRUNE, *kind), 2) for kind in kinds}) == len(kinds)
    # Nobody sends gradients.
    assert len({training_name(command(*PRUNE, *kind), 1) for kind in kinds}) == 1


@pytest.mark.parametrize('arguments', [TASK, PRUNE, (*PRUNE, ECQ)])
def test_each_number_of_workers_has_its_directory(arguments: tuple[str, ...]):
    alone, two, three = (run_path(command(*arguments), size) for size in (1, 2, 3))
    assert alone == run_path(command(*arguments)) and 'workers' not in alone.name
    assert two.name.endswith('-2workers') and three.name.endswith('-3workers')
    assert alone.parent == two.parent == Path('runs/lenet_at_digits')
    assert run_path(command(*arguments, '--run_dir=here'), 2) == Path('here')


def test_the_directory_of_a_training_begins_with_the_name_of_its_model():
    for size in (1, 2):
        assert str(run_path(command(*TASK), size)).startswith(f'runs/{training_name(command(*TASK), size)}-')


@pytest.mark.parametrize('arguments', [TASK, PRUNE])
@pytest.mark.parametrize(('before', 'now'), [(4, 2), (1, 3), (2, 1)])
def test_any_number_of_workers_continues_what_another_has_begun(arguments: tuple[str, ...], before: int, now: int):
    path = begin(arguments, before)
    assert path == run_path(command(*arguments), before) == run_path(command(*arguments), now)
    assert run_path(command(*arguments, '--seed=1'), now) != path
    invocation = make_invocation(command(*arguments), Several(now))
    invocation.run.acquire(invocation.recorded_flags, invocation.free_flags)
    # It stays a run of those who began it.
    assert invocation.zoo_name == training_name(command(*arguments), before)
    noted = [line for line in invocation.run.recorded_flags() if 'workers' in line]
    assert noted == ([f'# workers={before}'] if before > 1 else [])


def test_what_others_have_finished_is_left_to_them():
    alone = begin(PRUNE, 1, finish=True)
    assert run_path(command(*PRUNE), 2) == Path(f'{alone}-2workers')
    four = begin(PRUNE, 4)
    assert run_path(command(*PRUNE), 2) == four and run_path(command(*PRUNE), 1) == alone


def test_a_run_of_ones_own_comes_first_and_then_the_newest():
    four = begin(PRUNE, 4)
    (four / 'report.json').write_text('{}')
    three = begin(PRUNE, 3)
    (four / 'report.json').unlink()
    assert run_path(command(*PRUNE), 4) == four and run_path(command(*PRUNE), 3) == three
    for newest in four, three:
        for path in four, three:
            os.utime(path / 'flags.txt', (0, 100 + (path == newest)))
        assert run_path(command(*PRUNE), 2) == newest


@pytest.mark.parametrize('mode', ['eval', 'export', 'benchmark'])
def test_one_process_works_on_what_several_workers_have_finished(mode: str):
    path = begin(PRUNE, 4, finish=True)
    assert run_path(command(*PRUNE[:2], '--learner=chn-pruned-rmt', f'--exec_mode={mode}')) == path


def test_the_flag_file_of_several_workers_is_one():
    path = begin(PRUNE, 4)
    assert run_path(command(f'--flagfile={path}/flags.txt', '--enbl_multi_gpu'), 4) == path
    assert RunDirectory(path).recorded_flags()[-1] == '# workers=4'


def test_a_record_from_before_a_flag_was_introduced_stands_for_its_default():
    given = command(*TASK)
    former = [line for line in recorded_lines(given) if not line.startswith('--momentum=')]
    assert 'momentum' in free_flags(given, former)
    assert 'momentum' not in free_flags(given, recorded_lines(given))
    assert 'momentum' not in free_flags(command(*TASK, '--momentum=0.5'), former)
