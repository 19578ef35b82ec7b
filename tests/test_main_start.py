"""Help, and whatever is wrong with a command line, are told before TensorFlow is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pocketflow.scripts.house import SLOW
from tests.conftest import TASK

ROOT = Path(__file__).resolve().parents[1]

PRUNE = (*TASK, '--learner=chn-pruned-rmt')
SPARSE = (*TASK, '--learner=weight-sparse', '--ws_prune_ratio_prtl=uniform')
REFUSED = {
    'unknown flag': ([*TASK, '--nb_epoch_rat=1'], "Unknown command line flag 'nb_epoch_rat'"),
    'wrong value': ([*PRUNE, '--cpr_prune_ratio=2'], '--cpr_prune_ratio=2.0: must be a number >= 0 and < 1'),
    'wrong size': (['--model=resnet', '--dataset=cifar10', '--resnet_size=21'], '--resnet_size=21: must be 6n + 2'),
    'unknown learner': ([*TASK, '--learner=chanel'], "unknown learner 'chanel'; known: "),
    'unknown model': (['--model=lenat', '--dataset=digits'], '--model=lenat: unknown model'),
    'unknown data set': (['--model=lenet', '--dataset=mnist'], '--dataset=mnist: unknown dataset'),
    'unknown format': ([*TASK, '--export_formats=onnx'], "unknown file format 'onnx'; known: "),
    'unknown optimizer': ([*PRUNE, '--hp_optimizer=best'], '--hp_optimizer=best: must be one of ddpg, gp, random, tpe'),
    'contradiction': ([*TASK, '--save_path=model.keras'], 'full-prec starts from random weights'),
    'chain': ([*TASK, '--learner=uniform,weight-sparse'], 'weight-sparse cannot follow uniform: '),
    'flag without effect': ([*SPARSE, '--tempr_dst=2'], '--tempr_dst=2.0 would have no effect'),
    'flag of another learner': ([*TASK, '--cpr_prune_ratio=0.3'], 'belongs to --learner=chn-pruned-rmt'),
    'too large a batch': ([*TASK, '--batch_size=5000'], '--batch_size=5000: must be at most 1437'),
    'missing flag file': (['--flagfile=none.flags'], 'Unable to open flagfile: '),
    'missing pair file': (['--model_helper=mine.py'], '--model_helper=mine.py: no such file'),
    'missing model': ([*PRUNE, '--save_path=none.keras'], '--save_path=none.keras: no saved model there'),
    'missing teacher': (
        [*PRUNE, '--enbl_dst', '--save_path_dst=none.keras'],
        '--save_path_dst=none.keras: no saved model there',
    ),
    'missing plan': (
        [*SPARSE[:-1], '--ws_prune_plan=none.json'],
        "--ws_prune_plan: cannot read the compression plan 'none.json'",
    ),
    'missing data': (
        ['--model=lenet', '--dataset=cifar10', '--data_dir_local=nowhere'],
        '--data_dir_local=nowhere: there is no such folder',
    ),
    'missing space': ([*SPARSE, '--hpo_space=none.yaml'], 'cannot read --hpo_space=none.yaml: '),
    'wrong space': ([*SPARSE, '--hpo_space=space.yaml'], "--hpo_space=space.yaml: unknown flag 'seed'"),
    'directory that is a file': ([*TASK, '--run_dir=space.yaml'], 'space.yaml: is a file; give a directory'),
    'directory below a file': ([*TASK, '--run_dir=space.yaml/run'], 'run: cannot be written to (Not a directory)'),
    'directory of others': ([*TASK, '--run_dir=.'], 'holds files that are not of a run (space.yaml, ...)'),
    'directory of no run': ([*TASK, '--exec_mode=eval', '--run_dir=empty'], '--run_dir=empty: holds no run'),
    'missing latencies': (
        [*TASK, '--exec_mode=export', '--device_latency=int8=none.txt'],
        '--device_latency: int8=none.txt: cannot be read (No such file or directory)',
    ),
    'no finished run': ([*TASK, '--exec_mode=benchmark'], 'no finished model at '),
}

CHILD = """
import contextlib, io, json, sys
from pocketflow import main
outcomes = []
for arguments in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main.run(['main.py', *arguments])
    outcomes.append([code, out.getvalue(), err.getvalue(), sorted(name for name in sys.modules if '.' not in name)])
print(json.dumps(outcomes))
"""


@pytest.fixture(scope='module')
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    """[exit code, output, errors, modules loaded so far] of each command line, all in one new process."""
    folder = tmp_path_factory.mktemp('start')
    (folder / 'space.yaml').write_text('parameters: {seed: {type: int, low: 0, high: 3}}\n')
    lines = {
        '--help': ['--help'],
        '--helpfull': ['--helpfull', '--model=resnet', '--dataset=cifar10'],
        **{name: arguments for name, (arguments, _) in REFUSED.items()},
    }
    process = subprocess.run(
        [sys.executable, '-c', CHILD],
        input=json.dumps(list(lines.values())),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [entry.name for entry in folder.iterdir()] == ['space.yaml']
    return dict(zip(lines, json.loads(process.stdout), strict=True))


@pytest.mark.parametrize('name', ['--help', '--helpfull'])
def test_help_loads_no_tensorflow(name, outcomes):
    code, out, err, loaded = outcomes[name]
    assert (code, err) == (0, '') and 'Model/dataset pairs:' in out
    assert not SLOW & set(loaded)


@pytest.mark.parametrize('name', REFUSED)
def test_refusals_load_no_tensorflow(name, outcomes):
    code, out, err, loaded = outcomes[name]
    assert (code, out) == (2, '') and err.startswith('error: ') and err.count('\n') == 1
    assert REFUSED[name][1] in err
    assert not SLOW & set(loaded)
