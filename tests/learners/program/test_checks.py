"""Flags that would have no effect are refused by the command line; recorded and shipped flags never are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pocketflow.learners import LEARNERS
from pocketflow.learners.abstract_learner import LearnerOptions
from pocketflow.learners.program.checks import checked_command
from pocketflow.learners.program.command import Command
from pocketflow.learners.program.identity import recorded_lines
from pocketflow.nets import PAIRS
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import check_value, option_fields, value_type
from tests.conftest import TASK, run_main

ROOT = Path(__file__).resolve().parents[3]
CHANNELS, SEARCHED_CHANNELS = ('chn-pruned-rmt',), ('chn-pruned-rmt', '--cpr_prune_option=auto')
PLANNED_CHANNELS = ('chn-pruned-rmt', '--cpr_warm_start', '--cpr_save_path_ws=plan.json')
ZEROS, UNIFORM_ZEROS = ('weight-sparse',), ('weight-sparse', '--ws_prune_ratio_prtl=uniform')
PLANNED_ZEROS = ('weight-sparse', '--ws_prune_plan=plan.json')
BITS, SEARCHED_BITS = ('uniform',), ('uniform', '--uql_enbl_rl_agent')
BOOKS, SEARCHED_BOOKS = ('non-uniform',), ('non-uniform', '--nuql_enbl_rl_agent')

NEEDS = [
    (CHANNELS, '--cpr_nb_rlouts=7', '--cpr_prune_option=auto'),
    (CHANNELS, '--cpr_nb_iters_ft=5', '--cpr_prune_option=auto'),
    (CHANNELS, '--cpr_nb_rlouts_min=7', '--cpr_prune_option=auto'),
    ((*SEARCHED_CHANNELS, '--hp_optimizer=gp'), '--cpr_nb_rlouts_min=7', '--hp_optimizer=ddpg'),
    (UNIFORM_ZEROS, '--ws_nb_rlouts=7', '--ws_prune_ratio_prtl=optimal'),
    (UNIFORM_ZEROS, '--ws_reward_type=multi-obj', '--ws_prune_ratio_prtl=optimal'),
    (UNIFORM_ZEROS, '--ws_nb_iters_ft=7', '--ws_prune_ratio_prtl=optimal'),
    (UNIFORM_ZEROS, '--ws_nb_iters_feval=7', '--ws_prune_ratio_prtl=optimal'),
    ((*ZEROS, '--hp_optimizer=tpe'), '--ws_nb_rlouts_min=7', '--hp_optimizer=ddpg'),
    (BITS, '--uql_equivalent_bits=2.0', '--uql_enbl_rl_agent'),
    (BITS, '--uql_w_bit_min=3', '--uql_enbl_rl_agent'),
    (BITS, '--uql_w_bit_max=7', '--uql_enbl_rl_agent'),
    (BITS, '--uql_nb_rlouts=7', '--uql_enbl_rl_agent'),
    (BITS, '--uql_tune_global_steps=7', '--uql_enbl_rl_agent'),
    (BITS, '--nouql_enbl_rl_global_tune', '--uql_enbl_rl_agent'),
    (BITS, '--nouql_enbl_random_layers', '--uql_enbl_rl_agent'),
    ((*SEARCHED_BITS, '--hp_optimizer=gp'), '--nouql_enbl_random_layers', '--hp_optimizer=ddpg'),
    ((*SEARCHED_BITS, '--nouql_enbl_rl_global_tune'), '--uql_tune_global_steps=7', '--uql_enbl_rl_global_tune'),
    (BITS, '--uql_bucket_type=split', '--uql_use_buckets'),
    (BITS, '--uql_bucket_size=64', '--uql_use_buckets'),
    ((*BITS, '--uql_use_buckets'), '--uql_bucket_size=64', '--uql_bucket_type=split'),
    (BOOKS, '--nuql_equivalent_bits=2.0', '--nuql_enbl_rl_agent'),
    (BOOKS, '--nuql_bucket_type=channel', '--nuql_use_buckets'),
    (BOOKS, '--nuql_bucket_size=64', '--nuql_use_buckets'),
    ((*BOOKS, '--nuql_use_buckets', '--nuql_bucket_type=channel'), '--nuql_bucket_size=64', '--nuql_bucket_type=split'),
    (BITS, '--loss_w_dst=8.0', '--enbl_dst'),
    (BITS, '--tempr_dst=8.0', '--enbl_dst'),
    (BITS, '--save_path_dst=t.keras', '--enbl_dst'),
    (CHANNELS, '--data_dir_hdfs=there', '--data_disk=hdfs'),
    (CHANNELS, '--data_hdfs_host=hdfs://host:9', '--data_disk=hdfs'),
    (CHANNELS, '--ecq_bits=4', '--grad_compression=ecq'),
    (CHANNELS, '--grad_compression=ecq', '--enbl_multi_gpu'),
    (CHANNELS, '--device_latency=int8=bench.txt', '--exec_mode=export'),
    ((*CHANNELS, '--exec_mode=eval'), '--device_latency=int8=bench.txt', '--exec_mode=export'),
    (ZEROS, '--hpo_nb_epochs=2.0', '--hpo_space=...'),
    (ZEROS, '--ddpg_noise_dst_finl=0.1', '--ddpg_noise_prtl=adapt'),
    ((*ZEROS, '--noddpg_enbl_bsln_func'), '--ddpg_bsln_decy_rate=0.5', '--ddpg_enbl_bsln_func'),
    (ZEROS, '--ddpg_rms_eps=0.1', '--ddpg_enbl_state_norm'),
]
"""Learner with flags, what is given besides, and what that needs."""

CONTRADICTIONS = [
    (SEARCHED_CHANNELS, '--cpr_prune_ratio=0.9', '--cpr_prune_option=auto'),
    (PLANNED_CHANNELS, '--cpr_prune_ratio=0.9', '--cpr_warm_start'),
    (PLANNED_CHANNELS, '--cpr_criterion=obs', '--cpr_warm_start'),
    (PLANNED_CHANNELS, '--cpr_prune_option=auto', '--cpr_warm_start'),
    (PLANNED_ZEROS, '--ws_prune_ratio=0.9', '--ws_prune_plan=plan.json'),
    (PLANNED_ZEROS, '--ws_prune_ratio_prtl=heurist', '--ws_prune_plan=plan.json'),
    (PLANNED_ZEROS, '--ws_nb_rlouts=7', '--ws_prune_plan=plan.json'),
    ((*ZEROS, '--hpo_max_bytes=20000'), '--ws_prune_ratio=0.9', '--hpo_max_bytes=20000'),
    ((*BITS, '--uql_bits_plan=plan.json'), '--uql_enbl_rl_agent', '--uql_bits_plan=plan.json'),
    (SEARCHED_BITS, '--uql_weight_bits=8', '--uql_enbl_rl_agent'),
    ((*SEARCHED_BITS, '--hpo_max_bytes=20000'), '--uql_equivalent_bits=2.0', '--hpo_max_bytes=20000'),
    ((*BOOKS, '--nuql_bits_plan=plan.json'), '--nuql_enbl_rl_agent', '--nuql_bits_plan=plan.json'),
    (SEARCHED_BOOKS, '--nuql_weight_bits=8', '--nuql_enbl_rl_agent'),
    ((*UNIFORM_ZEROS, '--hpo_space=space.yaml'), '--nohpo_screening', '--hpo_space=space.yaml'),
    (CHANNELS, '--cpr_preserve_ratio=0.1', '--cpr_prune_option=uniform'),
    (CHANNELS, '--cpr_curves=run', '--cpr_prune_option=uniform'),
    (SEARCHED_CHANNELS, '--cpr_budget=bytes', '--cpr_prune_option=auto'),
    ((*CHANNELS, '--cpr_prune_option=program'), '--cpr_prune_ratio=0.3', '--cpr_prune_option=program'),
]
"""Learner with flags, what is given besides, and which of the former leaves that without effect."""

REPLACED = [
    ('full-prec', '--nb_epochs_rat_ft=0.5', '--nb_epochs_rat'),
    ('full-prec', '--lrn_rate_rat_ft=0.5', '--lrn_rate_init'),
    ('full-prec', '--loss_w_dcy_rat_ft=0.5', '--loss_w_dcy'),
    ('uniform', '--nb_epochs_rat_ft=0.5', '--uql_quant_epochs'),
    ('non-uniform', '--nb_epochs_rat_ft=0.5', '--nuql_quant_epochs'),
    ('full-prec,uniform', '--nb_epochs_rat_ft=0.5', '--nb_epochs_rat, --uql_quant_epochs'),
    ('uniform-tf', '--lrn_rate_rat_ft=0.5', '--uqtf_lrn_rate_dcy'),
]
"""Learners, a flag of all learners, and what these go by instead."""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def command(learner: str, *arguments: str) -> Command:
    return checked_command(['main.py', *TASK, f'--learner={learner}', *arguments])


def refusal(*arguments: str) -> str:
    with pytest.raises(UsageError) as caught:
        command(*arguments)
    return str(caught.value)


def words(case: tuple) -> str:
    return ' '.join((case[0] if isinstance(case[0], str) else ' '.join(case[0]), case[1]))


@pytest.mark.parametrize(('base', 'idle', 'needed'), NEEDS, ids=map(words, NEEDS))
def test_a_flag_without_what_it_needs(base, idle, needed):
    assert refusal(*base, idle) == f'{idle} would have no effect: it needs {needed}; give that, or drop the flag'


@pytest.mark.parametrize(('base', 'idle', 'other'), CONTRADICTIONS, ids=map(words, CONTRADICTIONS))
def test_a_flag_beside_one_that_leaves_it_without_effect(base, idle, other):
    assert refusal(*base, idle) == f'{idle} would have no effect with {other}; drop one of the two'
    command(*base)


@pytest.mark.parametrize(('learner', 'idle', 'own'), REPLACED, ids=map(words, REPLACED))
def test_a_flag_of_all_learners_that_none_of_these_goes_by(learner, idle, own):
    assert refusal(learner, idle) == (
        f'{idle} would have no effect: --learner={learner} goes by {own}; give that, or drop the flag'
    )


@pytest.mark.parametrize(
    'arguments',
    [
        ('uniform-tf', '--nb_epochs_rat_ft=0.5', '--loss_w_dcy_rat_ft=0.5'),
        ('uniform', '--lrn_rate_rat_ft=0.5', '--loss_w_dcy_rat_ft=0.5'),
        ('chn-pruned-rmt,uniform', '--nb_epochs_rat_ft=0.5'),
        ('chn-pruned-rmt,uniform-tf', '--nb_epochs_rat_ft=0.5', '--uqtf_quant_epochs=2', '--lrn_rate_rat_ft=0.3'),
        ('full-prec,weight-sparse', '--nb_epochs_rat_ft=0.5', '--lrn_rate_rat_ft=0.5'),
        (*SEARCHED_CHANNELS, '--cpr_criterion=obs', '--cpr_preserve_ratio=0.3', '--cpr_nb_rlouts_min=7'),
        (*PLANNED_CHANNELS, '--cpr_nb_smpls=100', '--nocpr_skip_frst_layer'),
        ('uniform', '--uql_bits_plan=plan.json', '--uql_weight_bits=3', '--uql_quantize_all_layers'),
        ('uniform', '--uql_use_buckets', '--uql_bucket_type=split', '--uql_bucket_size=64'),
        ('non-uniform', '--nuql_use_buckets', '--nuql_bucket_size=64'),
        ('weight-sparse', '--ws_reward_type=multi-obj', '--ws_prune_ratio=0.9', '--nohpo_screening'),
        ('weight-sparse', '--ws_prune_plan=plan.json', '--ws_prune_ratio_prtl=optimal', '--ws_nb_rlouts=200'),
        ('chn-pruned-rmt', '--data_disk=hdfs', '--data_dir_hdfs=there', '--data_hdfs_host=hdfs://host:9'),
    ],
)
def test_flags_with_an_effect_are_accepted(arguments):
    command(*arguments)


def test_epochs_of_its_own_replace_those_of_all_learners():
    assert '--learner=uniform-tf goes by --uqtf_quant_epochs' in refusal(
        'uniform-tf', '--uqtf_quant_epochs=2', '--nb_epochs_rat_ft=0.5'
    )


def test_searched_flags_may_become_what_others_need(tmp_path):
    space = ('--hpo_space=space.yaml', '--uql_use_buckets', '--uql_bucket_size=64')
    (tmp_path / 'space.yaml').write_text('parameters:\n  uql_bucket_type: {choice: [channel, split]}\n')
    command('uniform', *space)
    (tmp_path / 'space.yaml').write_text('parameters:\n  uql_weight_bits: {type: int, low: 2, high: 4}\n')
    assert '--uql_bucket_size=64 would have no effect: it needs --uql_bucket_type=split' in refusal('uniform', *space)


def test_a_refusal_is_one_line_and_leaves_nothing_behind(tmp_path):
    outcome = run_main(*TASK, '--learner=chn-pruned-rmt', '--cpr_preserve_ratio=0.1')
    assert (outcome.code, outcome.out) == (2, '') and outcome.err.count('\n') == 1
    assert outcome.err.startswith('error: --cpr_preserve_ratio=0.1 would have no effect with ')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'arguments',
    [
        ('full-prec',),
        ('full-prec', '--enbl_trn_val_split', '--enbl_dst'),
        CHANNELS,
        PLANNED_CHANNELS,
        UNIFORM_ZEROS,
        (*SEARCHED_CHANNELS, '--cpr_preserve_ratio=0.3', '--hp_optimizer=gp'),
        ('uniform-tf', '--uqtf_quant_epochs=2'),
        (*ZEROS, '--ws_nb_rlouts=7', '--ddpg_tau=0.5'),
        (*ZEROS, '--hpo_max_bytes=9999'),
        PLANNED_ZEROS,
        BITS,
        BOOKS,
        (*SEARCHED_BITS, '--uql_equivalent_bits=3'),
        ('chn-pruned-rmt,uniform', '--enbl_dst', '--tempr_dst=2'),
        (*UNIFORM_ZEROS, '--hpo_space=space.yaml', '--hpo_nb_trials=7'),
        ('chn-pruned-rmt', '--data_disk=hdfs', '--data_dir_hdfs=there', '--data_hdfs_host=hdfs://host:9'),
    ],
)
def test_recorded_flags_are_never_refused(arguments, tmp_path):
    given = command(*arguments)
    run = tmp_path / 'run'
    run.mkdir()
    (run / 'flags.txt').write_text('\n'.join(recorded_lines(given)) + '\n')
    assert recorded_lines(checked_command(['main.py', '--flagfile=run/flags.txt'])) == recorded_lines(given)
    for mode in ('eval', 'export', 'benchmark'):
        again = checked_command(['main.py', '--run_dir=run', f'--exec_mode={mode}'])
        assert recorded_lines(again) == recorded_lines(given)


@pytest.mark.parametrize('line', ['--grad_compression=ecq', '--cpr_preserve_ratio=0.1', '--nb_epochs_rat_ft=0.3'])
def test_finished_runs_are_used_whatever_their_flags(line, tmp_path):
    """Several workers may have made them, or a version that took flags without effect."""
    learner = 'full-prec' if 'rat_ft' in line else 'chn-pruned-rmt'
    (tmp_path / 'flags.txt').write_text('\n'.join((*TASK, f'--learner={learner}', line)) + '\n')
    for mode in ('eval', 'export', 'benchmark'):
        checked_command(['main.py', f'--run_dir={tmp_path}', f'--exec_mode={mode}'])


def every_options_class() -> list:
    return [
        part
        for name in PAIRS
        for model, _, dataset in [name.partition('_at_')]
        for given in [['--save_path=m.keras', '--enbl_warm_start'] if PAIRS.declaration(name).needs_model else []]
        for part in checked_command(['main.py', f'--model={model}', f'--dataset={dataset}', *given]).options_classes()
    ]


def test_what_flags_need_can_be_given():
    classes = every_options_class()
    known = {field.metadata['flag']: (part, field) for part in classes for field in option_fields(part)}
    conditions = {
        condition
        for part in classes
        for field in option_fields(part)
        for text in (part.needs, field.metadata['needs'], field.metadata['unless'])
        for condition in text.split()
    }
    assert conditions
    for flag, has_value, value in (condition.partition('=') for condition in conditions):
        part, field = known[flag]
        if has_value:
            assert field.metadata['choices'] if value_type(part, field) is str else value_type(part, field) is int
            check_value(field, value_type(part, field)(value))


def test_learners_replace_flags_of_all_learners_by_flags_that_they_have():
    shared = {field.metadata['flag'] for field in option_fields(LearnerOptions)}
    known = {field.metadata['flag'] for part in every_options_class() for field in option_fields(part)}
    for name in LEARNERS:
        replaced = LEARNERS.declaration(name).replaced_flags
        assert shared >= replaced.keys() and known >= set(replaced.values())


def documented_commands() -> list[str]:
    """The whole commands in the pages, without continuation marks and comments."""
    pages = [ROOT / 'README.md', *ROOT.glob('docs/*.md'), *ROOT.glob('learners/*/README.md')]
    blocks = [block for page in pages for block in re.findall(r'```\n(.*?)```', page.read_text('utf-8'), re.DOTALL)]
    lines = [line for block in blocks for line in block.replace('\\\n', ' ').splitlines()]
    return [line for line in lines if re.match(r'\./scripts/run_local\.sh (nets|--model=|--flagfile=scripts)', line)]


@pytest.mark.parametrize('line', documented_commands())
def test_documented_commands_are_accepted(line, monkeypatch):
    monkeypatch.chdir(ROOT)
    _, *arguments = shlex.split(re.sub(r'\[.*?\]', '', line), comments=True)
    script = re.fullmatch(r'nets/(\w+)_at_(\w+)_run\.py', arguments[0])
    pair = [f'--model={script[1]}', f'--dataset={script[2]}'] if script else []
    checked_command(['main.py', *pair, *arguments[len(pair) // 2 :]])


IMAGENET = ('--model=mobilenet', '--dataset=ilsvrc12', '--pretrained=keras_applications')


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (('--save_path=m.keras', '--learner=uniform'), '--pretrained=.* and --save_path=m.keras both give a trained'),
        (('--learner=full-prec',), '--pretrained=keras_applications: --learner=full-prec starts from random weights'),
        (('--crop_padding_ft=2', '--learner=uniform'), '--dataset=ilsvrc12 does not shift training images by --crop_p'),
    ],
)
def test_pretrained_weights_are_a_given_network(flags, message):
    with pytest.raises(UsageError, match=message):
        checked_command(['main.py', *IMAGENET, *flags])
    checked_command(['main.py', *IMAGENET, '--enbl_warm_start'])
    checked_command(['main.py', *IMAGENET, '--learner=chn-pruned-rmt'])
