"""The whole job, what a second call of it does, and the modes that work on a finished run."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.program import benchmarking
from pocketflow.utils.models.files import load_model, save_model
from tests.conftest import ONE_FILE, PACKED, PRUNING, QUICK, TASK, FinishedRun, run_main
from tests.learners.conftest import make_helper

ROOT = Path(__file__).resolve().parents[3]

FORMATS = ('float32', 'float16', 'dynamic', 'int8')


def copy_of(run: FinishedRun, folder: Path) -> Path:
    return Path(shutil.copytree(run.path, folder / 'run'))


def times(run: Path) -> dict[str, int]:
    """When each file was last written; the log may grow."""
    return {
        str(path): path.stat().st_mtime_ns
        for path in run.rglob('*')
        if path.is_file() and path.name not in ('log.txt', '.lock')
    }


def weights(path: Path) -> list[np.ndarray]:
    return keras.models.load_model(path, compile=False).get_weights()


def assert_same_weights(one: Path, other: Path) -> None:
    for left, right in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(left, right)


def test_the_same_command_again_only_repeats_the_report(pruned_run):
    before = times(pruned_run.path)
    again = run_main(*pruned_run.arguments)
    assert (again.code, again.out) == (0, pruned_run.outcome.out)
    assert times(pruned_run.path) == before
    assert ' step ' not in again.err
    assert again.err.count('\n') == 2 and 'this run was finished before; its report is shown again' in again.err


def test_an_unfinished_export_repeats_no_training(pruned_run, tmp_path):
    run = copy_of(pruned_run, tmp_path)
    (run / 'report.json').unlink()
    stages = times(run / '0-full-prec') | times(run / '1-chn-pruned-rmt')
    again = run_main(*pruned_run.arguments, f'--run_dir={run}', '--debug')
    assert again.code == 0, again.err
    assert times(run / '0-full-prec') | times(run / '1-chn-pruned-rmt') == stages
    assert json.loads((run / 'report.json').read_text())['stages'] == pruned_run.report['stages']


def test_another_flag_is_refused_in_the_same_directory(pruned_run):
    before = times(pruned_run.path)
    outcome = run_main(*pruned_run.arguments, f'--run_dir={pruned_run.path}', '--cpr_prune_ratio=0.3')
    assert outcome.code == 2
    assert 'holds a run with other flags (cpr_prune_ratio: 0.5 there, 0.3 given)' in outcome.err
    assert times(pruned_run.path) == before
    assert run_main(*pruned_run.arguments).code == 0  # the refusal let go of the directory


def test_other_data_are_refused_in_the_same_directory(pruned_run, tmp_path):
    run = copy_of(pruned_run, tmp_path)
    assert (run / 'data.txt').read_text().strip() == make_helper().dataset.fingerprint()
    (run / 'data.txt').write_text('00000000\n')
    before = times(run)
    outcome = run_main(*pruned_run.arguments, f'--run_dir={run}')
    assert outcome.code == 2 and outcome.out == ''
    assert 'holds a run with other training data (fingerprint 00000000, now ' in outcome.err
    assert times(run) == before


def test_files_that_a_run_began_from_may_go_but_not_change(trained_run, pruned_run, tmp_path):
    run, model, plan = tmp_path / 'run', tmp_path / 'model.keras', tmp_path / 'plan.json'
    shutil.copy(trained_run.path / 'model.keras', model)
    shutil.copy(pruned_run.path / '1-chn-pruned-rmt' / 'plan.json', plan)
    arguments = (
        *TASK,
        *QUICK,
        *PRUNING,
        ONE_FILE,
        f'--save_path={model}',
        '--cpr_warm_start',
        f'--cpr_save_path_ws={plan}',
        f'--run_dir={run}',
    )
    first = run_main(*arguments)
    assert first.code == 0, first.err
    save_model(load_model(model), model)  # with another date
    assert run_main(*arguments).out == first.out
    before = times(run)
    for line, change in (
        (f'--cpr_save_path_ws={plan}', lambda: plan.write_text(plan.read_text() + ' ')),
        (f'--save_path={model}', lambda: save_model(make_helper().build_model(), model)),
    ):
        change()
        changed = run_main(*arguments)
        assert (changed.code, changed.out) == (2, '')
        assert f'error: {line} has changed since the run in {run} began; give another --run_dir, or' in changed.err
        (plan if 'cpr' in line else model).unlink()
    assert run_main(*arguments).out == first.out
    assert times(run) == before
    (run / 'report.json').unlink()
    assert run_main(*arguments).code == 0
    for mode in 'eval', 'export', 'benchmark':
        assert run_main(f'--exec_mode={mode}', f'--run_dir={run}').code == 0


def test_no_finetuning_leaves_the_compressed_weights(trained_run, tmp_path):
    run = tmp_path / 'run'
    outcome = run_main(
        *TASK, *QUICK, *PRUNING, PACKED, '--nb_epochs_rat_ft=0', f'--save_path={trained_run.path}', f'--run_dir={run}'
    )
    assert outcome.code == 0, outcome.err
    assert_same_weights(run / '1-chn-pruned-rmt' / 'compressed.keras', run / 'model.keras')


def test_uncompressed_run_has_no_verdict(trained_run):
    report = trained_run.report
    assert report['verdict'] is None and report['layers'] == []
    assert report['baseline'] == report['compressed']
    assert 'verdict' not in trained_run.outcome.out
    assert not (trained_run.path / 'baseline').exists()


def test_training_with_a_teacher_has_no_verdict(trained_run, tmp_path):
    outcome = run_main(
        *TASK, *QUICK, PACKED, '--enbl_dst', f'--zoo_dir={trained_run.path.parents[1]}', f'--run_dir={tmp_path}/run'
    )
    assert outcome.code == 0, outcome.err
    report = json.loads((tmp_path / 'run' / 'report.json').read_text())
    assert report['verdict'] is None and report['baseline'] == report['compressed']
    assert report['compressed']['metrics'] == report['stages'][0]['metrics']
    assert 'verdict' not in outcome.out and 'Nothing was compressed.' in (tmp_path / 'run' / 'report.html').read_text()


def test_accuracy_drop_is_an_exit_code_after_the_report(trained_run, tmp_path):
    arguments = (
        *TASK,
        *QUICK,
        *PRUNING,
        ONE_FILE,
        '--cpr_prune_ratio=0.97',
        '--cpr_criterion=random',
        '--lrn_rate_rat_ft=1e-6',
        f'--save_path={trained_run.path}',
        f'--run_dir={tmp_path}/run',
    )
    outcome = run_main(*arguments, '--max_accuracy_drop=0.001')
    assert outcome.code == 1
    assert 'error: the compressed model does not meet --max_accuracy_drop=0.001 (drop 0.' in outcome.err
    assert outcome.last_line.startswith('verdict: ') and (tmp_path / 'run' / 'report.json').exists()
    assert run_main(*arguments, '--max_accuracy_drop=1').code == 0  # not recorded, so it may change


def test_eval_needs_only_the_run_directory(pruned_run, trained_run):
    before = times(pruned_run.path)
    outcome = run_main('--exec_mode=eval', f'--run_dir={pruned_run.path}')
    accuracy = pruned_run.report['compressed']['metrics']['accuracy']
    assert outcome.code == 0 and outcome.out.startswith(f'model: {pruned_run.path}/model.keras\nlenet at digits: loss ')
    assert outcome.out.strip().endswith(f'accuracy {accuracy:.4g}')
    assert times(pruned_run.path) == before
    other = run_main('--exec_mode=eval', f'--run_dir={pruned_run.path}', f'--save_path={trained_run.path}')
    assert other.out.startswith(f'model: {trained_run.path}/model.keras\n')
    assert other.out.strip().endswith(f'accuracy {trained_run.report["compressed"]["metrics"]["accuracy"]:.4g}')


def test_eval_of_any_saved_model_writes_nothing(trained_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = run_main(*TASK, '--exec_mode=eval', f'--save_path={trained_run.path}/model.keras')
    assert outcome.code == 0 and 'accuracy' in outcome.out
    assert not list(tmp_path.iterdir())


def test_eval_is_of_the_result_not_of_what_the_run_began_with(trained_run, tmp_path):
    run = tmp_path / 'run'
    assert run_main(*TASK, *QUICK, *PRUNING, PACKED, f'--save_path={trained_run.path}', f'--run_dir={run}').code == 0
    report = json.loads((run / 'report.json').read_text())
    assert report['compressed']['metrics'] != report['baseline']['metrics']
    outcome = run_main('--exec_mode=eval', f'--run_dir={run}')
    assert f'loss {report["compressed"]["metrics"]["loss"]:.4g} ' in outcome.out


def test_export_again_in_further_formats(pruned_run, tmp_path, monkeypatch):
    run = copy_of(pruned_run, tmp_path)
    for name in FORMATS:
        (run / f'model_{name}.tflite').unlink()
    monkeypatch.chdir(tmp_path)
    stages = times(run / '1-chn-pruned-rmt')
    outcome = run_main('--exec_mode=export', f'--run_dir={run}', '--export_formats=pfz,float16')
    assert outcome.code == 0, outcome.err
    report = json.loads((run / 'report.json').read_text())
    assert [item['format'] for item in report['exports']] == [*FORMATS, 'pfz']
    assert all((run / item['path']).stat().st_size == item['bytes'] for item in report['exports'])
    assert report['compressed']['file_bytes'] == (run / 'model_float32.tflite').stat().st_size
    assert report['command'] == pruned_run.report['command']
    assert outcome.last_line.startswith('verdict: ') and 'model.pfz' in (run / 'report.html').read_text()
    assert times(run / '1-chn-pruned-rmt') == stages
    refused = run_main('--exec_mode=export', f'--run_dir={run}', '--seed=1')
    assert refused.code == 2 and '--seed=1: --exec_mode=export works on the run in ' in refused.err


def test_the_run_is_judged_by_its_own_first_format(trained_run, tmp_path):
    arguments = (
        *TASK,
        *QUICK,
        *PRUNING,
        '--export_formats=float16,dynamic',
        f'--save_path={trained_run.path}',
        f'--run_dir={tmp_path}/run',
    )
    first = run_main(*arguments)
    again = run_main('--exec_mode=export', f'--run_dir={tmp_path}/run', '--export_formats=float32', '--require_smaller')
    assert (first.code, again.code) == (0, 0), first.err + again.err
    report = json.loads((tmp_path / 'run' / 'report.json').read_text())
    assert [item['format'] for item in report['exports']] == ['float16', 'dynamic', 'float32']
    assert report['compressed']['file'] == 'model_float16.tflite'
    assert report['baseline']['file'] == 'baseline/model_float16.tflite'
    assert run_main(*arguments).out == again.out


def test_latencies_of_a_device_are_read_on_exporting(pruned_run, tmp_path):
    run, text = copy_of(pruned_run, tmp_path), tmp_path / 'bench.txt'
    text.write_text(
        'Inference timings in us: Init: 855, First inference: 9, Warmup (avg): 9, Inference (avg): 3209.4\n'
    )
    outcome = run_main(
        '--exec_mode=export', f'--run_dir={run}', ONE_FILE, f'--device_latency=float32={text},uncompressed={text}'
    )
    assert outcome.code == 0, outcome.err
    report = json.loads((run / 'report.json').read_text())
    assert report['exports'][0]['device_latency_ms'] == report['baseline']['device_latency_ms'] == {'mean': 3.2094}
    text.write_text(text.read_text().replace('3209.4', '1000'))
    assert run_main('--exec_mode=export', f'--run_dir={run}', f'--device_latency=int8={text}').code == 0
    report = json.loads((run / 'report.json').read_text())
    timed = {
        item['format']: item['device_latency_ms']['mean'] for item in report['exports'] if 'device_latency_ms' in item
    }
    assert timed == {'float32': 3.2094, 'int8': 1.0}
    refused = run_main(*TASK, f'--device_latency=float32={text}', f'--run_dir={tmp_path}/new')
    assert refused.code == 2 and 'it needs --exec_mode=export' in refused.err


def test_export_of_a_model_that_no_run_made(trained_run, tmp_path):
    model = trained_run.path / 'model.keras'
    arguments = (*TASK, '--exec_mode=export', f'--save_path={model}', f'--run_dir={tmp_path}/one', *QUICK)
    outcome = run_main(*arguments, '--export_formats=pfz,float32')
    assert outcome.code == 0, outcome.err
    assert ' step ' not in outcome.err and 'verdict' not in outcome.out
    unpacked = run_main(
        *TASK,
        '--exec_mode=export',
        f'--save_path={tmp_path}/one/model.pfz',
        f'--run_dir={tmp_path}/two',
        '--export_formats=float32',
        *QUICK,
    )
    assert unpacked.code == 0, unpacked.err
    assert_same_weights(tmp_path / 'two' / 'model.keras', model)
    again = run_main('--exec_mode=export', f'--run_dir={tmp_path}/one', '--export_formats=float16')
    assert again.code == 0 and ' step ' not in again.err
    exports = json.loads((tmp_path / 'one' / 'report.json').read_text())['exports']
    assert [item['format'] for item in exports] == ['pfz', 'float32', 'float16']
    refused = run_main(
        *TASK, '--learner=full-prec', f'--save_path={model}', '--enbl_warm_start', f'--run_dir={tmp_path}/one'
    )
    assert refused.code == 2 and 'other flags' in refused.err


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('nowhere.keras', '--save_path=nowhere.keras: no saved model there'),
        ('text.pfz', 'text.pfz is not a readable .pfz container'),
        ('text.keras', 'cannot be read as a Keras model'),
    ],
)
def test_export_of_no_model_leaves_nothing_behind(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for suffix in ('pfz', 'keras'):
        (tmp_path / f'text.{suffix}').write_text('text')
    outcome = run_main(*TASK, '--exec_mode=export', f'--save_path={name}', '--run_dir=out', *QUICK)
    assert outcome.code != 0 and message in outcome.err and outcome.err.count('\n') == 1
    assert {path.name for path in tmp_path.iterdir()} == {'text.pfz', 'text.keras'}


def test_an_exported_model_is_kept(trained_run, tmp_path):
    model, run = tmp_path / 'model.keras', tmp_path / 'run'
    shutil.copy(trained_run.path / 'model.keras', model)
    assert run_main(*TASK, '--exec_mode=export', f'--save_path={model}', f'--run_dir={run}', ONE_FILE, *QUICK).code == 0
    model.unlink()
    outcome = run_main('--exec_mode=export', f'--run_dir={run}', '--export_formats=pfz')
    assert outcome.code == 0, outcome.err
    save_model(make_helper().build_model(), model)
    changed = run_main(*TASK, '--exec_mode=export', f'--save_path={model}', f'--run_dir={run}')
    assert changed.code == 2 and f'--save_path={model} has changed since the run in {run} began' in changed.err
    assert_same_weights(run / 'model.keras', trained_run.path / 'model.keras')


CONDITIONS = ('--require_smaller', '--require_faster', '--max_accuracy_drop=0')
NO_VERDICT = (
    '--require_smaller, --require_faster, --max_accuracy_drop and --max_metric_drop judge a compressed model, but '
)


@pytest.mark.parametrize('condition', CONDITIONS)
def test_conditions_without_a_verdict_are_refused(condition, pruned_run, trained_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = f'--save_path={trained_run.path}'
    for arguments, reason in (
        (('--exec_mode=eval', f'--run_dir={pruned_run.path}'), '--exec_mode=eval makes no verdict'),
        ((*TASK, '--exec_mode=eval', model), '--exec_mode=eval makes no verdict'),
        (('--exec_mode=benchmark', f'--run_dir={pruned_run.path}'), '--exec_mode=benchmark makes no verdict'),
        (('--exec_mode=export', f'--run_dir={trained_run.path}'), '--learner=full-prec compresses nothing'),
        ((*TASK, '--exec_mode=export', model), '--learner=full-prec compresses nothing'),
        ((*TASK, *PRUNING, '--exec_mode=export', model), 'the model at --save_path is exported as it is'),
    ):
        outcome = run_main(*arguments, condition)
        assert (outcome.code, outcome.out, outcome.err) == (2, '', f'error: {NO_VERDICT}{reason}\n')
    assert not list(tmp_path.iterdir())


def test_benchmark_prints_a_line_per_file(pruned_run, monkeypatch):
    monkeypatch.setattr(benchmarking, 'is_there', lambda: True)
    monkeypatch.setattr(benchmarking, 'median_ms', lambda path, runs, warmup: 1000.0)
    before = times(pruned_run.path)
    outcome = run_main('--exec_mode=benchmark', f'--run_dir={pruned_run.path}')
    lines = outcome.out.splitlines()
    assert outcome.code == 0 and lines[0].split()[:2] == ['file', 'bytes']
    assert [line.split()[0] for line in lines[1:]] == [
        'baseline/model_float32.tflite',
        *sorted(f'model_{name}.tflite' for name in FORMATS),
    ]
    assert all(float(cell) > 0 for line in lines[1:] for cell in line.split()[2:6])
    assert "LiteRT's tool, p50 ms, 1 thread" in lines[0] and all('1000.00' in line for line in lines[1:])
    assert times(pruned_run.path) == before


@pytest.mark.parametrize('mode', ['eval', 'export', 'benchmark'])
def test_modes_without_a_run(mode, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = run_main(f'--exec_mode={mode}', '--run_dir=nowhere')
    assert outcome.code == 2
    assert f'--run_dir=nowhere: holds no run (flags.txt is missing); --exec_mode={mode} works on' in outcome.err
    outcome = run_main(*TASK, f'--exec_mode={mode}')
    assert outcome.code == 2 and 'give --run_dir=DIRECTORY of a finished run' in outcome.err
    assert not list(tmp_path.iterdir())


def test_benchmark_of_a_damaged_file(pruned_run, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmarking, 'is_there', lambda: True)
    monkeypatch.setattr(benchmarking, 'median_ms', lambda path, runs, warmup: 1000.0)
    run = copy_of(pruned_run, tmp_path)
    os.truncate(run / 'model_int8.tflite', 50_000)
    outcome = run_main('--exec_mode=benchmark', f'--run_dir={run}')
    assert outcome.code == 1 and outcome.err.count('\n') == 1
    assert f'error: not timed: {run}/model_int8.tflite: LiteRT cannot load this file (' in outcome.err
    assert 'model_float32.tflite' in outcome.out and 'model_int8' not in outcome.out


def test_benchmark_without_files(pruned_run, tmp_path):
    run = copy_of(pruned_run, tmp_path)
    for path in [*run.rglob('*.tflite')]:
        path.unlink()
    outcome = run_main('--exec_mode=benchmark', f'--run_dir={run}')
    assert outcome.code == 2 and 'holds no exported files; run --exec_mode=export first' in outcome.err
