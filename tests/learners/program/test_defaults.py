"""Flags that were not given: recipes, and defaults of channel pruners."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketflow.learners.options import LearnerOptions
from pocketflow.learners.program.identity import own_path, recorded_lines, run_path
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import flag_lines
from pocketflow.utils.training.options import DistillationOptions
from tests.conftest import command

TASK = ('--model=lenet', '--dataset=digits')
PRUNE = (*TASK, '--learner=chn-pruned-rmt')
LATER = 'cpr_budget'
"""A flag that runs from before the default do not name."""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def distils(*arguments: str) -> bool:
    return command(*arguments).options(DistillationOptions).enabled


def begin(*arguments: str, without: str = 'none') -> Path:
    """The flag file of a run as the program leaves it when it begins; `without` a flag that it did not know yet."""
    given = command(*arguments)
    path = run_path(given)
    path.mkdir(parents=True)
    lines = [line for line in recorded_lines(given) if not line.startswith(f'--{without}=')]
    (path / 'flags.txt').write_text('\n'.join(lines) + '\n')
    return path


@pytest.mark.parametrize('learner', ['chn-pruned-rmt', 'channel', 'chn-pruned-rmt,uniform'])
def test_channel_pruners_distil_by_default(learner: str):
    assert distils(*TASK, f'--learner={learner}')
    assert not distils(*TASK, f'--learner={learner}', '--noenbl_dst')


@pytest.mark.parametrize('learner', ['full-prec', 'full-prec,chn-pruned-rmt', 'uniform', 'weight-sparse'])
def test_other_chains_do_not(learner: str):
    assert not distils(*TASK, f'--learner={learner}')
    assert distils(*TASK, f'--learner={learner}', '--enbl_dst')


def test_settings_of_the_distillation_need_no_flag_that_turns_it_on():
    assert command(*PRUNE, '--loss_w_dst=8').options(DistillationOptions).weight == 8
    with pytest.raises(UsageError, match='--loss_w_dst=8.0 would have no effect: it needs --enbl_dst'):
        command(*PRUNE, '--noenbl_dst', '--loss_w_dst=8')


def test_a_run_from_before_that_default_continues_without_a_teacher():
    former = begin(*PRUNE, '--noenbl_dst', without=LATER)
    assert not distils(*PRUNE) and run_path(command(*PRUNE)) == former
    assert distils(*PRUNE, '--enbl_dst') and run_path(command(*PRUNE, '--enbl_dst')) != former
    assert distils(*PRUNE, '--cpr_prune_ratio=0.3')  # another run


def test_a_run_that_was_given_the_flag_is_another_one():
    plain = begin(*PRUNE, '--noenbl_dst')
    assert distils(*PRUNE) and run_path(command(*PRUNE)) != plain


def test_where_both_runs_exist_the_default_counts():
    former, now = begin(*PRUNE, '--noenbl_dst', without=LATER), begin(*PRUNE, '--enbl_dst')
    assert distils(*PRUNE) and run_path(command(*PRUNE)) == now != former


@pytest.mark.parametrize('began_with', [True, False])
def test_a_named_run_directory_continues_as_it_began(began_with: bool):
    begin(*PRUNE, '--run_dir=here', '--enbl_dst' if began_with else '--noenbl_dst')
    assert distils(*PRUNE, '--run_dir=here') == began_with
    assert distils('--exec_mode=export', '--run_dir=here') == began_with
    assert distils(*PRUNE, '--run_dir=elsewhere')


def test_new_flags_that_are_not_given_leave_names_and_records_as_they_were():
    given = command(*PRUNE, '--noenbl_dst')
    new = ('recovery', 'batch_norm_statistics', 'cpr_from_scratch', 'lrn_rate_schedule_ft')
    assert not [line for line in recorded_lines(given) if line.lstrip('-').startswith(new)]


def tuning(*arguments: str) -> tuple[float, float, float, str | None]:
    options = command(*PRUNE, *arguments).options(LearnerOptions)
    return (
        options.epochs_ratio_finetune,
        options.rate_factor_finetune,
        options.decay_factor_finetune,
        options.schedule_finetune,
    )


def test_a_recipe_sets_what_was_not_given():
    assert tuning() == (0.04, 0.2, 0.4, None)
    assert tuning('--recovery=long') == (0.5, 1.0, 1.0, 'one-cycle')
    assert tuning('--recovery=short') == (0.04, 0.3, 0.8, 'one-cycle')
    assert tuning('--recovery=long', '--nb_epochs_rat_ft=0.04', '--lrn_rate_schedule_ft=piecewise') == (
        0.04,
        1.0,
        1.0,
        'piecewise',
    )
    lines = flag_lines([command(*PRUNE, '--recovery=long').options(LearnerOptions)])
    assert '--nb_epochs_rat_ft=0.5' in lines  # recorded, and in the names of runs
    assert own_path(command(*PRUNE, '--recovery=long'), 1) != own_path(command(*PRUNE), 1)


def test_training_from_scratch_is_as_long_as_the_first_one():
    assert tuning('--cpr_from_scratch', '--nb_epochs_rat=0.12') == (0.12, 1.0, 1.0, None)
    assert tuning('--cpr_from_scratch', '--nb_epochs_rat_ft=0.3') == (0.3, 1.0, 1.0, None)
    with pytest.raises(UsageError, match='--recovery=long would have no effect with --cpr_from_scratch'):
        command(*PRUNE, '--cpr_from_scratch', '--recovery=long')


def test_recipes_are_flags_of_channel_pruners():
    with pytest.raises(UsageError, match='--recovery belongs to --learner='):
        command(*TASK, '--learner=weight-sparse', '--recovery=long')
