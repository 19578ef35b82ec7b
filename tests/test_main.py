"""The command line: what it accepts, what it refuses and how, and what it records."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pocketflow import main
from pocketflow.learners import LEARNERS
from pocketflow.learners.program.checks import checked_command
from pocketflow.learners.program.command import UNRECORDED_OPTIONS, Command, MainOptions, learner_names
from pocketflow.learners.program.identity import recorded_lines, run_path, training_name
from pocketflow.learners.program.modes import EXEC_MODES
from pocketflow.learners.program.start import make_invocation
from pocketflow.nets import PAIRS
from pocketflow.nets.options import GIVEN
from pocketflow.utils.errors import LostWorkerError, PocketFlowError, UsageError
from pocketflow.utils.options import option_fields
from pocketflow.utils.runs.run_directory import RunDirectory
from tests.conftest import ONE_FILE, PRUNING, QUICK, TASK, run_main

ROOT = Path(__file__).resolve().parents[1]
PRUNE = (*TASK, '--learner=chn-pruned-rmt')

HELPER = '''
from pocketflow.datasets import DigitsDataset
from pocketflow.nets.abstract_model_helper import PAIRS, ClassificationHelper


@PAIRS.register('{name}')
class Mine(ClassificationHelper):
    """A pair of one's own."""

    dataset_class = DigitsDataset
    model_name = 'mine'
'''


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """Every test works in an empty folder and leaves the registry of pairs as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PAIRS, '_entries', dict(PAIRS._entries))


def command(*arguments: str) -> Command:
    return checked_command(['main.py', *arguments])


BAD_INPUT = {
    'unknown flag': ([*TASK, '--nb_epoch_rat=1'], "line flag 'nb_epoch_rat'. Did you mean: nb_epochs_rat"),
    'flag of another pair': ([*TASK, '--resnet_size=8'], "Unknown command line flag 'resnet_size'"),
    'no model': ([], '--model is missing; known: lenet, resnet (or --model_helper=FILE.py'),
    'no data set': (['--model=lenet'], '--dataset is missing; known: cifar10, digits'),
    'unknown model': (['--model=lenat', '--dataset=digits'], '--model=lenat: unknown model; known: lenet, resnet'),
    'unknown data set': (['--model=lenet', '--dataset=mnist'], '--dataset=mnist: unknown dataset; known: cifar10, '),
    'unknown pair': (['--model=resnet', '--dataset=digits'], 'no such pair; resnet goes with cifar10'),
    'unknown learner': ([*TASK, '--learner=chanel'], "unknown learner 'chanel'; known: chn-pruned-rmt, full-prec"),
    'empty learner': ([*TASK, '--learner='], '--learner=: an empty name; give one learner, or several'),
    'double comma': ([*TASK, '--learner=full-prec,,chn-pruned-rmt'], 'an empty name'),
    'last comma': ([*TASK, '--learner=full-prec,'], '--learner=full-prec,: an empty name'),
    'full-prec later': ([*TASK, '--learner=chn-pruned-rmt,full-prec'], 'so it can only come first'),
    'flag of another learner': ([*TASK, '--cpr_prune_ratio=0.3'], 'belongs to --learner=chn-pruned-rmt, but '),
    'out of range': ([*PRUNE, '--cpr_prune_ratio=1'], '--cpr_prune_ratio=1.0: must be a number >= 0 and < 1'),
    'negative': ([*TASK, '--nb_epochs_rat=-1'], '--nb_epochs_rat=-1.0: must be a number > 0'),
    'no number': ([*TASK, '--seed=abc'], 'flag --seed=abc: '),
    'no choice': ([*TASK, '--compute_dtype=float8'], '--compute_dtype=float8: must be one of'),
    'unknown mode': ([*TASK, '--exec_mode=serve'], '--exec_mode=serve: must be one of train, eval, export, benchmark'),
    'missing flag file': (['--flagfile=none.flags'], 'error: Unable to open flagfile: '),
    'flag file of bytes': ([f'--flagfile={sys.executable}'], '--flagfile: holds no text'),
    'positional argument': ([*TASK, 'train'], "unexpected argument 'train'; flags look like --name=value"),
    'too few samples': ([*TASK, '--nb_smpls_train=100'], '--nb_smpls_val=144: must be less than --nb_smpls_train=100'),
    'too large a batch': ([*TASK, '--batch_size=5000'], '--batch_size=5000: must be at most 1437, so that a step '),
    'too large a batch to tune': ([*PRUNE, '--batch_size_ft=5000'], '--batch_size_ft=5000: must be at most 1437'),
    'too many samples': ([*TASK, '--nb_smpls_eval=5000'], '--nb_smpls_eval=5000: the digits files hold only 360'),
    'missing data': (
        ['--model=lenet', '--dataset=cifar10', '--data_dir_local=nowhere'],
        '--data_dir_local=nowhere: there is no such folder; give the folder of the data files',
    ),
    'unknown format': ([*TASK, '--export_formats=float32,onnx'], "unknown file format 'onnx'; known: dynamic, float16"),
    'no format': ([*TASK, '--export_formats='], "unknown file format ''"),
    'smaller than itself': ([*TASK, '--require_smaller'], 'but --learner=full-prec compresses nothing'),
    'drop by distillation': ([*TASK, '--enbl_dst', '--require_smaller'], 'but --learner=full-prec compresses nothing'),
    'speed of a container': (
        [*PRUNE, '--export_formats=pfz', '--require_faster'],
        '--require_faster: none of --export_formats=pfz can be timed; add a .tflite format',
    ),
    'drop of nothing': ([*TASK, '--max_accuracy_drop=0.1'], 'compresses nothing'),
    'unused model': ([*TASK, '--save_path=model.keras'], '--learner=full-prec starts from random weights'),
    'warm start from nothing': ([*TASK, '--enbl_warm_start'], 'goes with --learner=full-prec and --save_path='),
    'warm start of another': ([*PRUNE, '--enbl_warm_start', '--save_path=m'], 'given: --learner=chn-pruned-rmt'),
    'unused teacher': ([*PRUNE, '--save_path_dst=t.keras'], '--save_path_dst=t.keras would have no effect: it needs'),
    'missing model': ([*PRUNE, '--save_path=nowhere.keras'], '--save_path=nowhere.keras: no saved model there'),
    'missing helper': (['--model_helper=mine.py'], '--model_helper=mine.py: no such file'),
    'helper is no Python': ([f'--model_helper={ROOT}/LICENSE'], 'its name must end in .py'),
    'directory that cannot be': ([*TASK, f'--run_dir={ROOT}/LICENSE/run'], 'LICENSE/run: cannot be written to (Not a '),
    'directory that is a file': ([*TASK, f'--run_dir={ROOT}/LICENSE'], 'LICENSE: is a file; give a directory'),
    'help for no pair': (['--helpfull', '--model=lenat'], '--model=lenat: unknown model'),
}


@pytest.mark.parametrize('name', BAD_INPUT)
def test_bad_input_is_one_line_and_leaves_nothing_behind(name, tmp_path):
    arguments, message = BAD_INPUT[name]
    outcome = run_main(*arguments)
    assert outcome.code == 2
    assert outcome.err.startswith('error: ') and outcome.err.count('\n') == 1
    assert message in outcome.err
    assert outcome.out == ''
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('arguments', 'shown'),
    [
        (('--learner=chanel', '--debug'), True),
        (('--learner=chanel', '--debug=true'), True),
        (('--learner', 'chanel', '--debug'), True),
        (('--learner=chanel', '--flagfile=debug.flags'), True),
        (('--flagfile=debug.flags', '--flagfile=none.flags'), False),
        (('--debug', '--flagfile=none.flags'), True),
        (('--learner=chanel', '--debug=false'), False),
        (('--learner=chanel', '--flagfile=debug.flags', '--nodebug'), False),
        (('--learner=chanel',), False),
    ],
)
def test_debug_shows_where_it_came_from(arguments, shown, tmp_path):
    (tmp_path / 'debug.flags').write_text('# to find out\n--debug\n')
    outcome = run_main(*TASK, *arguments)
    assert outcome.code == 2 and ('Traceback' in outcome.err) is shown


def test_foreign_files_are_left_alone(tmp_path):
    (tmp_path / 'thesis.tex').write_text('x')
    outcome = run_main(*TASK, f'--run_dir={tmp_path}')
    assert outcome.code == 2 and 'holds files that are not of a run (thesis.tex, ...)' in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ['thesis.tex']


@pytest.mark.parametrize('mode', EXEC_MODES)
def test_a_flag_file_of_bytes_is_not_of_a_run(tmp_path, mode):
    (tmp_path / 'flags.txt').write_bytes(b'--seed=\xff\n')
    outcome = run_main(*TASK, f'--run_dir={tmp_path}', f'--exec_mode={mode}')
    assert outcome.code == 2 and outcome.err.count('\n') == 1
    assert outcome.err.startswith(f'error: --run_dir={tmp_path}: flags.txt holds no text, so it is not of a run; give ')
    assert [path.name for path in tmp_path.iterdir()] == ['flags.txt']


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('x = 1', "expected one pair registered by @PAIRS.register('MODEL_at_DATASET'), found none"),
        (
            'import nothing_of_that_name',
            "importing it failed: ModuleNotFoundError: No module named 'nothing_of_that_name'",
        ),
        ('def broken(:', 'importing it failed: SyntaxError'),
        (HELPER.format(name='lenet_at_digits'), "ValueError: model/dataset pair 'lenet_at_digits' is registered twice"),
        (
            HELPER.format(name='a_at_digits') + HELPER.format(name='b_at_digits'),
            'found a_at_digits, b_at_digits; name one',
        ),
    ],
)
def test_files_that_give_no_pair(tmp_path, text, message):
    (tmp_path / 'mine.py').write_text(text)
    outcome = run_main('--model_helper=mine.py')
    assert outcome.code == 2 and outcome.err.count('\n') == 1
    assert outcome.err.startswith('error: --model_helper=mine.py: ') and message in outcome.err


def test_one_of_several_pairs_in_a_file(tmp_path):
    (tmp_path / 'mine.py').write_text(HELPER.format(name='a_at_digits') + HELPER.format(name='b_at_digits'))
    given = command('--model_helper=mine.py', '--model=b')
    assert given.pair.name == 'b_at_digits'
    assert recorded_lines(given)[:2] == ['--model=b', f'--model_helper={tmp_path}/mine.py']


def test_a_helper_file_may_be_read_again_in_one_process(tmp_path):
    (tmp_path / 'mine.py').write_text(HELPER.format(name='mine_at_digits'))
    first, second = command('--model_helper=mine.py'), command('--model_helper=mine.py')
    assert first.pair.name == second.pair.name == 'mine_at_digits'
    assert first.pair.load() is not second.pair.load() is PAIRS.get('mine_at_digits')
    (tmp_path / 'mine.py').write_text(HELPER.format(name='other_at_digits'))
    assert command('--model_helper=mine.py').pair.name == 'other_at_digits'


@pytest.mark.parametrize(
    ('left_out', 'missing'), [('', 'build_model'), ('    dataset_class = DigitsDataset\n', 'dataset_class')]
)
def test_an_unfinished_helper_class_is_refused(tmp_path, left_out, missing):
    (tmp_path / 'mine.py').write_text(HELPER.format(name='mine_at_digits').replace(left_out, ''))
    outcome = run_main('--model_helper=mine.py')
    assert outcome.code == 2
    assert outcome.err == (
        f'error: --model_helper=mine.py: class Mine does not define {missing}; see docs/extending.md\n'
    )


def test_an_edited_helper_file_is_another_run(tmp_path):
    file, entries = tmp_path / 'mine.py', dict(PAIRS._entries)

    def given(text: str) -> Command:
        PAIRS._entries = dict(entries)
        file.write_text(text)
        return command('--model_helper=mine.py')

    text = HELPER.format(name='mine_at_digits') + '    build_model = None\n'
    first, again, edited = given(text), given(text), given(text + '# other layers\n')
    assert run_path(first) == run_path(again) != run_path(edited)
    assert training_name(first) == training_name(again) != training_name(edited)
    run = RunDirectory(tmp_path / 'run')
    run.claim(recorded_lines(first))
    run.release()
    PAIRS._entries = dict(entries)
    outcome = run_main('--model_helper=mine.py', '--run_dir=run')
    assert outcome.code == 2 and 'other flags (sha256 of --model_helper: ' in outcome.err
    PAIRS._entries = dict(entries)
    assert command('--flagfile=run/flags.txt').pair.name == 'mine_at_digits'  # the comment is one


def test_crash_of_our_own_is_not_hidden(monkeypatch):
    monkeypatch.setitem(EXEC_MODES, 'train', lambda invocation: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_main(*TASK)


def test_values_may_follow_their_flags():
    given = command('--seed', '5', '--model', 'lenet', '--dataset', 'digits', '--learner', 'chn-pruned-rmt')
    assert given.options(MainOptions) == MainOptions('chn-pruned-rmt', 5)


def test_flag_files_nest_and_the_command_line_wins(tmp_path):
    (tmp_path / 'inner.flags').write_text('--model=lenet\n# a comment\n--dataset=digits\n--lrn_rate_init=0.03\n')
    (tmp_path / 'outer.flags').write_text('--flagfile=inner.flags\n\n--learner=chn-pruned-rmt\n--seed=2\n')
    given = command('--flagfile=outer.flags', '--seed=3')
    assert given.pair.name == 'lenet_at_digits' and given.learner_names == ['chn-pruned-rmt']
    assert given.options(MainOptions).seed == 3
    assert make_invocation(given).helper.net.learning_rate == 0.03
    assert command('--flagfile=outer.flags').options(MainOptions).seed == 2


@pytest.mark.parametrize(
    'arguments',
    [
        TASK,
        (*PRUNE, '--cpr_skip_op_names=a b,c', '--cpr_lstsq_ridge=1e-07', '--nocpr_skip_frst_layer', '--enbl_dst'),
        ('--model=resnet', '--dataset=cifar10', '--resnet_size=32', '--data_dir_local=my data', '--seed=7'),
    ],
)
def test_recorded_flags_repeat_the_run(tmp_path, arguments):
    given = command(*arguments)
    (tmp_path / 'flags.txt').write_text('\n'.join(recorded_lines(given)) + '\n')
    again = command('--flagfile=flags.txt')
    assert recorded_lines(again) == recorded_lines(given)
    assert run_path(again) == run_path(given)
    for options_class in given.options_classes():
        if options_class not in UNRECORDED_OPTIONS:
            assert again.options(options_class) == given.options(options_class)


def made_run(*arguments: str) -> Path:
    """A directory of a run with these flags, as far as the command line looks at it."""
    run = Path('made')
    run.mkdir()
    (run / 'flags.txt').write_text('\n'.join(recorded_lines(command(*arguments))) + '\n')
    return run


@pytest.mark.parametrize(
    ('mode', 'flag', 'before'),
    [
        ('eval', '--cpr_prune_ratio=0.9', 'with --cpr_prune_ratio=0.3'),
        ('eval', '--seed=1', 'with --seed=0'),
        ('eval', '--export_formats=int8', 'without it'),
        ('eval', '--dataset=cifar10', 'with --dataset=digits'),
        ('eval', '--learner=full-prec,chn-pruned-rmt', 'with --learner=chn-pruned-rmt'),
        ('eval', '--momentum=0.5', 'with --momentum=0.9'),
        ('benchmark', '--save_path=m.keras', 'without it'),
        ('benchmark', '--nb_smpls_eval=50', 'with --nb_smpls_eval=360'),
        ('export', '--save_path=m.keras', 'without it'),
        ('export', '--cpr_prune_ratio=0.9', 'with --cpr_prune_ratio=0.3'),
    ],
)
def test_modes_that_use_a_run_do_not_change_it(mode, flag, before, tmp_path):
    made_run(*PRUNE, '--cpr_prune_ratio=0.3')
    Path('mine.flags').write_text(f'{flag}\n')
    for given in flag, '--flagfile=mine.flags':
        outcome = run_main(f'--exec_mode={mode}', '--run_dir=made', given)
        assert (outcome.code, outcome.out) == (2, '')
        assert outcome.err == (
            f'error: {flag}: --exec_mode={mode} works on the run in made, which was made {before}; drop the flag\n'
        )


@pytest.mark.parametrize(
    'arguments',
    [
        ('eval', '--nb_smpls_eval=50', '--save_path=m.keras', '--batch_size_eval=10', '--data_dir_local=d', '--debug'),
        ('eval', '--flagfile=made/flags.txt'),
        ('eval', *PRUNE, '--cpr_prune_ratio=0.3', '--summ_step=5'),
        ('export', '--export_formats=int8', '--nb_repts=3', '--nb_smpls_export_eval=9', '--nb_smpls_calib=9'),
        ('benchmark', '--nb_repts=3', '--nb_repts_warmup=3', '--nb_threads=1'),
    ],
)
def test_flags_that_modes_use_may_differ(arguments, tmp_path):
    made_run(*PRUNE, '--cpr_prune_ratio=0.3')
    given = command(f'--exec_mode={arguments[0]}', '--run_dir=made', *arguments[1:])
    assert given.learner_options()['chn-pruned-rmt'].prune_ratio == 0.3


def test_a_pair_of_ones_own_is_found_from_anywhere(tmp_path):
    (tmp_path / 'mine.py').write_text(HELPER.format(name='mine_at_digits'))
    entries = dict(PAIRS._entries)
    made_run('--model_helper=mine.py')
    PAIRS._entries = entries
    assert command('--exec_mode=eval', '--run_dir=made', '--model_helper=./mine.py').pair.name == 'mine_at_digits'


def test_run_records_the_flags_of_its_command(pruned_run):
    lines = (pruned_run.path / 'flags.txt').read_text().splitlines()
    assert lines == recorded_lines(command(*pruned_run.arguments))
    assert run_path(command(f'--flagfile={pruned_run.path}/flags.txt')) == pruned_run.path
    assert not any('run_dir' in line or 'require' in line or 'exec_mode' in line for line in lines)


def test_default_directories_differ_where_flags_differ():
    variants = [
        (),
        ('--seed=1',),
        ('--nb_epochs_rat=0.5',),
        ('--export_formats=int8',),
        ('--enbl_dst',),
        ('--enbl_warm_start', '--save_path=m.keras'),
        ('--learner=chn-pruned-rmt',),
        ('--learner=chn-pruned-rmt', '--cpr_prune_ratio=0.4'),
        ('--learner=full-prec,chn-pruned-rmt',),
    ]
    paths = [run_path(command(*TASK, *variant)) for variant in variants]
    assert len(set(paths)) == len(variants)
    assert all(path.parent == Path('runs/lenet_at_digits') for path in paths)
    assert run_path(command(*TASK, '--require_faster', '--learner=chn-pruned-rmt')) == paths[6]
    assert run_path(command(*TASK, '--run_dir=here')) == Path('here')


def test_zoo_name_is_shared_by_runs_that_are_trained_alike():
    plain = command(*TASK)
    assert str(run_path(plain)).startswith(f'runs/{training_name(plain)}-')
    assert training_name(command(*PRUNE, '--cpr_prune_ratio=0.3')) == training_name(plain)
    assert training_name(command(*PRUNE, '--momentum=0.8')) != training_name(plain)
    for other in (('--enbl_dst',), ('--enbl_warm_start', '--save_path=m.keras')):
        assert training_name(plain) not in str(run_path(command(*TASK, *other)))


def test_help_lists_what_there_is():
    outcome = run_main('--help')
    assert outcome.code == 0 and 'This is the only file' not in outcome.out
    for model, dataset in (name.split('_at_') for name in PAIRS):
        named = '--save_path=MODEL.keras' if model == GIVEN else f'--model={model}'
        assert f'{named} --dataset={dataset}' in outcome.out
    for name in LEARNERS:
        assert f'  {name} ' in outcome.out and LEARNERS.declaration(name).summary in outcome.out
    assert '--run_dir' in outcome.out and '--helpfull' in outcome.out and '--momentum' not in outcome.out


KNOWN_FLAGS = (  # of the original, as far as there is something for them to set
    """
    debug exec_mode learner enbl_dst enbl_warm_start save_path save_step summ_step loss_w_dst save_path_dst tempr_dst
    cpr_nb_crops_per_smpl cpr_nb_smpls cpr_prune_ratio cpr_save_path_ws cpr_skip_frst_layer cpr_skip_last_layer
    cpr_skip_op_names cpr_warm_start batch_size batch_size_eval data_dir_hdfs data_dir_local data_disk data_hdfs_host
    nb_smpls_eval nb_smpls_train nb_smpls_val nb_threads prefetch_size batch_size_norm loss_w_dcy lrn_rate_init
    momentum nb_epochs_rat resnet_size"""
)


def test_all_flags_are_explained():
    outcome = run_main('--helpfull', '--model=resnet', '--dataset=cifar10')
    assert outcome.code == 0
    shown = {
        line.split(':')[0].strip().removeprefix('--').removeprefix('[no]')
        for line in outcome.out.splitlines()
        if line.startswith('  --') and ':' in line
    }
    assert shown >= set(KNOWN_FLAGS.split())
    for options_class in command('--model=resnet', '--dataset=cifar10').options_classes():
        assert shown >= {field.metadata['flag'] for field in option_fields(options_class)}


OLD_SWITCHES = {
    'uniform': 'uql_enbl_rl_layerwise_tune',
    'non-uniform': 'nuql_enbl_rl_layerwise_tune',
    'uniform-tf': 'uqtf_enbl_manual_quant',
}
"""The superseded flags that were boolean in the original, by learner; all others took a value."""


def test_superseded_flags_are_of_the_type_that_they_had():
    classes = command('--model=lenet', '--dataset=digits').options_classes()
    assert {flag for part in classes for flag in part.superseded_switches} == set(OLD_SWITCHES.values())
    assert not [flag for part in classes for flag in part.superseded if '_enbl_' in flag]


@pytest.mark.parametrize(('learner', 'flag'), OLD_SWITCHES.items())
def test_an_old_switch_leaves_the_next_flag_alone(learner, flag):
    for form in (f'--{flag}', f'--no{flag}', f'--{flag}=false'):
        given = command(*TASK, f'--learner={learner}', form, '--seed=7')
        assert given.options(MainOptions).seed == 7 and list(given.superseded()) == [flag]


@pytest.mark.parametrize('path', sorted((ROOT / 'scripts' / 'flags').glob('*.flags')), ids=lambda path: path.stem)
def test_shipped_flag_files_are_valid(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    make_invocation(command(f'--flagfile={path}'))


def test_seed_decides_the_weights(tmp_path):
    def weights(name: str, seed: int) -> bytes:
        outcome = run_main(
            *TASK, *QUICK, '--nb_epochs_rat=0.001', ONE_FILE, f'--seed={seed}', f'--run_dir={tmp_path / name}'
        )
        assert outcome.code == 0, outcome.err
        return (tmp_path / name / 'model_float32.tflite').read_bytes()

    one = weights('one', 3)
    assert one == weights('again', 3)
    assert one != weights('other', 4)


def test_the_program_itself(tmp_path):
    """In a process of its own: quiet, the right exit code, and found from any folder."""
    process = subprocess.run(
        [sys.executable, ROOT / 'main.py', *TASK, *PRUNING, '--cpr_prune_ratio=2'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '2'},
    )
    assert (process.returncode, process.stdout) == (2, '')
    assert process.stderr == 'error: --cpr_prune_ratio=2.0: must be a number >= 0 and < 1\n'
    assert not list(tmp_path.iterdir())


def test_usage_errors_name_the_value():
    with pytest.raises(UsageError, match='--learner=a, ,b: an empty name'):
        learner_names('a, ,b')
    assert learner_names('full-prec, chn-pruned-rmt') == ['full-prec', 'chn-pruned-rmt']


def refuse_with(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ('error', 'code', 'line'),
    [
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), '/run/x'),
            1,
            '/run/x: No space left on device; make room th',
        ),
        (UsageError('--flag: no'), 2, '--flag: no\n'),
        (PocketFlowError('cannot'), 1, 'cannot\n'),
        (LostWorkerError('alone'), 75, 'alone\n'),
    ],
)
def test_what_was_foreseen_is_one_line_and_an_exit_code(error, code, line, capsys):
    assert main.guarded(lambda: refuse_with(error), debug=False) == code
    err = capsys.readouterr().err
    assert err.startswith(f'error: {line}') and err.count('\n') == 1


def test_a_full_disk_below_another_error_is_what_is_told(capsys):
    def convert():
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), '/run/x')
        except OSError as error:
            raise PocketFlowError('cannot be converted') from error

    assert main.guarded(convert, debug=False) == 1
    assert capsys.readouterr().err.startswith('error: /run/x: No space left on device; ')


@pytest.mark.parametrize('error', [KeyError('x'), ZeroDivisionError('x'), OSError('x')])
def test_a_mistake_of_the_program_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        main.guarded(lambda: refuse_with(error), debug=False)
