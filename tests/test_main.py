"""The command line: what it accepts, what it refuses and how, and what it records."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pocketflow import main
from pocketflow.learners.program.command import UNRECORDED_OPTIONS
from pocketflow.learners.program.identity import recorded_lines, run_path, training_name
from pocketflow.learners.program.modes import EXEC_MODES
from pocketflow.utils.errors import LostWorkerError, PocketFlowError, UsageError
from tests.conftest import PACKED, PRUNING, QUICK, TASK, command, run_main

ROOT = Path(__file__).resolve().parents[1]
PRUNE = (*TASK, '--learner=chn-pruned-rmt')


pytestmark = pytest.mark.usefixtures('own_folder')


KNOWN = 'known: efficientnet_lite0, lenet, mobilenet, resnet'
BAD_INPUT = {
    'unknown flag': ([*TASK, '--nb_epoch_rat=1'], "line flag 'nb_epoch_rat'. Did you mean: nb_epochs_rat"),
    'flag of another pair': ([*TASK, '--resnet_size=8'], "Unknown command line flag 'resnet_size'"),
    'no model': ([], f'--model is missing; {KNOWN} (or --model_helper=FILE.py'),
    'no data set': (['--model=lenet'], '--dataset is missing; known: cifar10, digits'),
    'unknown model': (['--model=lenat', '--dataset=digits'], f'--model=lenat: unknown model; {KNOWN}'),
    'unknown data set': (['--model=lenet', '--dataset=mnist'], '--dataset=mnist: unknown dataset; known: cifar10, '),
    'unknown pair': (['--model=resnet', '--dataset=digits'], 'no such pair; resnet goes with cifar10'),
    'unknown learner': ([*TASK, '--learner=chanel'], "unknown learner 'chanel'; known: channel, chn-pruned-gpu"),
    'empty learner': ([*TASK, '--learner='], '--learner=: an empty name; give one learner, or several'),
    'double comma': ([*TASK, '--learner=full-prec,,chn-pruned-rmt'], 'an empty name'),
    'last comma': ([*TASK, '--learner=full-prec,'], '--learner=full-prec,: an empty name'),
    'full-prec later': ([*TASK, '--learner=chn-pruned-rmt,full-prec'], 'so it can only come first'),
    'flag of another learner': ([*TASK, '--cpr_prune_ratio=0.3'], 'belongs to --learner=chn-pruned-rmt, but '),
    'out of range': ([*PRUNE, '--cpr_prune_ratio=1'], '--cpr_prune_ratio=1.0: must be a number >= 0 and < 1'),
    'negative': ([*TASK, '--nb_epochs_rat=-1'], '--nb_epochs_rat=-1.0: must be a number > 0'),
    'no number': ([*TASK, '--seed=abc'], 'flag --seed=abc: '),
    'no choice': ([*TASK, '--compute_dtype=float8'], '--compute_dtype=float8: must be one of'),
    'unknown mode': (
        [*TASK, '--exec_mode=serve'],
        '--exec_mode=serve: must be one of train, check, eval, export, benchmark',
    ),
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
    'format that cannot hold the model': (
        ['--model=lenet', '--dataset=digits', '--learner=uniform-tf', '--export_formats=int8,float32'],
        'the model of --learner=uniform-tf cannot be exported as float32, only as int8; drop float32, or',
    ),
    'drop of nothing': ([*TASK, '--max_accuracy_drop=0.1'], 'compresses nothing'),
    'unused model': ([*TASK, '--save_path=model.keras'], '--learner=full-prec starts from random weights'),
    'warm start from nothing': ([*TASK, '--enbl_warm_start'], 'needs --learner=full-prec and --save_path='),
    'warm start of another': ([*PRUNE, '--enbl_warm_start', '--save_path=m'], 'given: --learner=chn-pruned-rmt'),
    'unused teacher': (
        [*PRUNE, '--noenbl_dst', '--save_path_dst=t.keras'],
        '--save_path_dst=t.keras would have no effect: it needs',
    ),
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


def test_crash_of_our_own_is_not_hidden(monkeypatch):
    monkeypatch.setitem(EXEC_MODES, 'train', lambda invocation: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_main(*TASK)


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


def test_seed_decides_the_weights(tmp_path):
    def weights(name: str, seed: int) -> bytes:
        outcome = run_main(
            *TASK, *QUICK, '--nb_epochs_rat=0.001', PACKED, f'--seed={seed}', f'--run_dir={tmp_path / name}'
        )
        assert outcome.code == 0, outcome.err
        return (tmp_path / name / 'model.pfz').read_bytes()

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
