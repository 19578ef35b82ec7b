"""Searches from the command line: what is refused at once, and one small run of each kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pocketflow.learners.program.checks import checked_command
from pocketflow.learners.program.identity import recorded_lines, run_path, training_name
from pocketflow.learners.program.start import make_invocation
from pocketflow.utils.errors import UsageError
from tests.conftest import PACKED, TASK, run_main

SMALL = (
    *TASK,
    PACKED,
    '--nb_smpls_train=60',
    '--nb_smpls_val=20',
    '--nb_smpls_eval=40',
    '--batch_size=10',
    '--nb_epochs_rat=0.05',
    '--nb_smpls_export_eval=10',
    '--nb_repts=2',
    '--nb_repts_warmup=1',
    '--nb_smpls_calib=10',
    '--hpo_verify_factor=0.05',
    '--hpo_nb_verified=1',
)
TUNED = '--nb_epochs_rat_ft=0.05'
SPARSE = (*TASK, '--learner=weight-sparse', '--ws_nb_rlouts=2')
UNIFORM_ZEROS = (*TASK, '--learner=weight-sparse', '--ws_prune_ratio_prtl=uniform')
BITS = (*TASK, '--learner=uniform', '--uql_enbl_rl_agent', '--uql_nb_rlouts=2')
CHANNELS = (*TASK, '--learner=chn-pruned-rmt', '--cpr_prune_option=auto', '--cpr_nb_rlouts=2', '--cpr_nb_smpls=20')

REFUSED = {
    'bytes of zeros': (
        (*SPARSE, '--hpo_max_bytes=10'),
        'a file of 10 bytes is out of reach: with the bounds of these 4 layers from a file of ',
    ),
    'bytes of zeros, after training': (
        (*SPARSE, '--learner=full-prec,weight-sparse', '--hpo_max_bytes=10'),
        'a file of 10 bytes is out of reach: with the bounds of these 4 layers',
    ),
    'bytes without a budget': (
        (*SPARSE, '--ws_reward_type=multi-obj', '--hpo_max_bytes=20000'),
        '--hpo_max_bytes=20000: --ws_reward_type=multi-obj has no budget; give --ws_reward_',
    ),
    'bytes of flags': (
        (*UNIFORM_ZEROS, '--hpo_space=none.yaml', '--hpo_max_bytes=20000'),
        '--hpo_max_bytes=20000 would have no effect with --hpo_space=none.yaml; drop one of the two',
    ),
    'trials of no space': (
        (*SPARSE, '--hpo_nb_trials=7'),
        '--hpo_nb_trials=7 would have no effect: it needs --hpo_space=...; give that, or drop',
    ),
    'agent that does not act': (
        (*SPARSE, '--hp_optimizer=gp', '--ddpg_tau=0.5'),
        '--ddpg_tau=0.5 would have no effect: it needs --hp_optimizer=ddpg; give that, or',
    ),
    'bytes of codes': (
        (*BITS, '--hpo_max_bytes=10'),
        'a file of 10 bytes is out of reach: with the bounds of these 2 layers from a file of ',
    ),
    'bytes of channels': (
        (*CHANNELS, '--hpo_max_bytes=10'),
        'the budget of chn-pruned-rmt is in multiply-adds; give --cpr_preserve_ratio',
    ),
    'too few bits': (
        (*BITS, '--uql_equivalent_bits=1', '--uql_w_bit_min=2'),
        'a mean of 1 bits per weight is out of reach: from 2 to 8 is reachable',
    ),
    'too few bits of a later stage': (
        (*BITS, '--learner=chn-pruned-rmt,uniform', '--uql_equivalent_bits=1', '--uql_w_bit_min=2'),
        '--uql_equivalent_bits=1: a mean of 1 bits per weight is out of reach: from 2 to 8 is reachable',
    ),
    'too few multiply-adds': (
        (*CHANNELS, '--cpr_preserve_ratio=0.001'),
        '0.001 of the multiply-adds is out of reach: with the bounds of these 2 layers from 0.',
    ),
    'no trials': ((*TASK, '--learner=weight-sparse', '--ws_nb_rlouts=0'), '--ws_nb_rlouts=0: must be a number >= 1'),
    'no bits': (
        (*BITS, '--uql_w_bit_min=5', '--uql_w_bit_max=3'),
        '--uql_w_bit_min=5 --uql_w_bit_max=3: the bits to search must be a range within 1 to 16',
    ),
    'method of nothing': (
        (*TASK, '--learner=weight-sparse', '--ws_prune_ratio_prtl=uniform', '--hp_optimizer=tpe'),
        '--cpr_prune_option=auto, --nuql_enbl_rl_agent, --uql_enbl_rl_agent, --ws_prune_ratio_prtl=optimal or --hpo_',
    ),
    'agent of nothing': ((*TASK, '--ddpg_tau=0.5'), '--ddpg_tau is about searches, but nothing is searched'),
    'bytes of nothing': ((*TASK, '--learner=uniform', '--hpo_max_bytes=100000'), '--hpo_max_bytes is about searches'),
    'unknown method': ((*SPARSE, '--hp_optimizer=grid'), '--hp_optimizer=grid: must be one of ddpg, gp, random, tpe'),
    'missing space': (
        (*TASK, '--learner=weight-sparse', '--ws_prune_ratio_prtl=uniform', '--hpo_space=none.yaml'),
        'cannot read --hpo_space=none.yaml',
    ),
    'search in a search': ((*SPARSE, '--hpo_space=none.yaml'), 'weight-sparse would search its values per layer'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_cannot_be_searched_is_one_line_and_leaves_nothing_behind(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, message = REFUSED[name]
    outcome = run_main(*arguments)
    assert outcome.code == 2 and outcome.out == ''
    assert outcome.err.startswith('error: ') and outcome.err.count('\n') == 1 and message in outcome.err
    if 'bounds of these' in message:
        assert outcome.err.endswith('is reachable\n')
    assert not list(tmp_path.iterdir())


KINDS = {
    'sparsity': (*SPARSE, '--hp_optimizer=random', '--ws_nb_iters_ft=2', TUNED),
    'bits': (*BITS, '--hp_optimizer=tpe', '--uql_tune_global_steps=2', '--uql_quant_epochs=0.5'),
    'channels kept': (*CHANNELS, '--hp_optimizer=ddpg', TUNED),
    'flags': (
        *TASK,
        '--learner=weight-sparse',
        '--ws_prune_ratio_prtl=uniform',
        '--hp_optimizer=gp',
        '--hpo_nb_trials=2',
        '--hpo_nb_epochs=0.4',
        '--hpo_space=space.yaml',
        TUNED,
    ),
}
SPACE = """
parameters:
  ws_iter_ratio_beg: {type: float, low: 0, high: 0.6}
  ws_iter_ratio_end: {type: float, low: 0.2, high: 1}
constraints: [ws_iter_ratio_end >= ws_iter_ratio_beg]
"""


@pytest.fixture(scope='module')
def zoo(tmp_path_factory) -> Path:
    """Where the baseline of all runs is, once one has trained it."""
    return tmp_path_factory.mktemp('zoo')


@pytest.mark.parametrize('kind', KINDS)
def test_a_small_run(kind, zoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'space.yaml').write_text(SPACE)
    before = set(zoo.glob('*/*'))
    outcome = run_main(*KINDS[kind], *SMALL, f'--zoo_dir={zoo}')
    assert outcome.code == 0, outcome.err
    (run,) = set(zoo.glob('*/*')) - before
    report = json.loads((run / 'report.json').read_text())
    (entry,) = report['searches']
    assert entry['searched'] == kind and len(entry['trials']) == 2
    assert f'{kind} by {entry["optimizer"]}, 2 trials in ' in outcome.out
    assert (run / 'search.png').stat().st_size > 1000 and not (run / 'search_2.png').exists()
    page = (run / 'report.html').read_text()
    assert 'Search' in page and entry['winner'] in page
    flags = (run / 'flags.txt').read_text().splitlines()
    assert '--enbl_trn_val_split=true' in flags and f'--hp_optimizer={entry["optimizer"]}' in flags
    _check_what_the_stage_has_done(run, kind, entry)


def _check_what_the_stage_has_done(run: Path, kind: str, entry: dict) -> None:
    (stage,) = run.glob('1-*')
    plan = json.loads((stage / 'plan.json').read_text())
    if kind == 'flags':
        assert set(entry['flags']) == {'ws_iter_ratio_beg', 'ws_iter_ratio_end'}
        assert set(plan['values'].values()) == {0.75} and (run / 'search' / 'search.json').exists()
    else:
        assert plan['values'] == entry['chosen'] and (stage / 'search.json').exists()
        assert [row['layer'] for row in entry['layers']] == list(entry['chosen'])


def test_a_baseline_without_held_out_samples_is_another_model_than_one_with_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    searched, fixed = (
        checked_command(['main.py', *TASK, '--learner=weight-sparse', f'--ws_prune_ratio_prtl={rule}'])
        for rule in ('optimal', 'uniform')
    )
    assert training_name(searched) != training_name(fixed)
    assert searched.data_options().hold_out and not fixed.data_options().hold_out
    held_out = checked_command(['main.py', *TASK, '--enbl_trn_val_split'])
    assert training_name(searched) == training_name(held_out)
    assert '--enbl_trn_val_split=true' in recorded_lines(searched) and '--hp_optimizer=ddpg' in recorded_lines(searched)
    assert not any(line.startswith(('--hp', '--ddpg')) for line in recorded_lines(fixed))


def searching_flags(*more: str):
    return checked_command(['main.py', *UNIFORM_ZEROS, '--hpo_space=space.yaml', *more])


def test_another_text_of_the_space_is_another_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'space.yaml').write_text(SPACE)
    path, lines = run_path(searching_flags()), recorded_lines(searching_flags())
    assert run_path(searching_flags()) == path
    (tmp_path / 'space.yaml').write_text(SPACE.replace('high: 0.6', 'high: 0.5'))
    assert run_path(searching_flags()) != path
    (changed,) = set(recorded_lines(searching_flags())) - set(lines)
    assert changed.startswith('# sha256 of --hpo_space=')


def test_a_finished_run_does_not_need_the_file_of_its_space(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'space.yaml').write_text(SPACE)
    run = tmp_path / 'run'
    run.mkdir()
    recorded = make_invocation(searching_flags(f'--run_dir={run}')).recorded_flags
    (run / 'flags.txt').write_text('\n'.join(recorded) + '\n')
    (tmp_path / 'space.yaml').unlink()
    again = make_invocation(searching_flags(f'--run_dir={run}', '--exec_mode=eval'))
    again.run.acquire(again.recorded_flags, again.free_flags)
    again.run.release()
    training = make_invocation(searching_flags(f'--run_dir={run}'))
    with pytest.raises(UsageError, match='holds a run with other flags'):
        training.run.acquire(training.recorded_flags, training.free_flags)


def test_recorded_flags_of_a_search_are_no_reason_to_refuse(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = recorded_lines(checked_command(['main.py', *SPARSE, '--hp_optimizer=gp']))
    (tmp_path / 'flags.txt').write_text('\n'.join(lines) + '\n')
    assert '--ddpg_tau=0.01' in lines and recorded_lines(checked_command(['main.py', '--flagfile=flags.txt'])) == lines
