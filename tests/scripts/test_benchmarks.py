"""Each benchmark runs as a smoke test, ends with one line of JSON, and refuses a wrong command line in one line."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.scripts.benchmarks import (
    channel_select,
    channel_selection,
    common,
    latency,
    network_coverage,
    training_speed,
)
from pocketflow.utils.errors import UsageError
from tests.conftest import Outcome, outcome_of, run_main

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'scripts' / 'benchmarks'

# What the last line promises, and of a benchmark with rows what each row promises.
PROMISED = {
    'search': (
        {'gains'},
        {
            'task',
            'method',
            'trials',
            'winner',
            'reward',
            'accuracy_before',
            'accuracy',
            'uncompressed',
            'search_seconds',
            'overhead',
        },
    ),
    'compression': (
        {'met'},
        {
            'case',
            'file',
            'accuracy_before',
            'accuracy',
            'accuracy_drop',
            'bytes',
            'size_ratio',
            'speedup',
            'sparsity',
            'bits',
            'seconds',
        },
    ),
    'post_training': ({'met', 'rows'}, {'table', 'network', 'seconds'}),
    'channel_pruners': (
        {'ratio'},
        {
            'case',
            'seed',
            'macs_left',
            'accuracy_before',
            'accuracy_selected',
            'accuracy',
            'seconds',
            'bytes',
            'milliseconds',
            'speedup',
            'speedup_per_reduction',
        },
    ),
    'synthetic_search': (
        {'trials', 'seeds', 'layers', 'uniform', 'least_margin'},
        {'problem', 'method', 'reward', 'margin', 'wins', 'milliseconds'},
    ),
    'input_pipeline': (
        {'images', 'steps', 'rounds'},
        {
            'case',
            'pipeline_images_per_second',
            'from_files_images_per_second',
            'from_memory_images_per_second',
            'pipeline_to_training',
            'files_to_memory',
            'growth_kib_per_batch',
        },
    ),
    'input_memory': (
        {
            'images',
            'steps',
            'batch_size',
            'folder_mib',
            'read_seconds',
            'images_per_second',
            'peak_reading_mib',
            'peak_training_mib',
            'growth_reading_mib',
            'growth_training_mib',
            'growth_mib',
        },
        {'when', 'mib'},
    ),
    'training_speed': (
        {
            'ratio',
            'trainer_images_per_second',
            'bare_images_per_second',
            'float32_images_per_second',
            'compute_dtype',
            'compute_dtype_gain',
        },
        None,
    ),
    'channel_selection': (
        {
            'accuracy_lasso',
            'margin_refit',
            'margin_plain',
            'margin_random',
            'images',
            'select_seconds',
            'epoch_seconds',
            'select_over_epoch',
            'peak_memory_gib',
        },
        {'criterion', 'refit', 'accuracy', 'macs_left', 'seconds'},
    ),
    'sensitivity_curves': (
        {'accuracy_unpruned', 'curve_seconds', 'least_margin_program'},
        {'selector', 'budget', 'method', 'accuracy', 'macs_left', 'seconds', 'prune_seconds'},
    ),
    'gradient_compression': (
        {'kernels', 'others', 'batch_size', 'more_workers', 'accuracies'},
        {'setting', 'bytes_measured', 'bytes_computed', 'fewer_measured', 'fewer_computed', 'ms', 'share_of_step'},
    ),
    'latency': (
        {'new_operators', 'threads', 'trained'},
        {
            'prune_ratio',
            'macs_left',
            'parameters_left',
            'bytes_left_float32',
            'bytes_left_int8',
            'speedup_float32_1_thread',
            'speedup_float32_all_threads',
            'speedup_int8_1_thread',
        },
    ),
    'trial_memory': (
        {'worst_mib_per_trial', 'graphs_left_per_trial'},
        {'learner', 'trials', 'mib_after_half', 'mib_last', 'mib_per_trial', 'graphs_left_per_trial'},
    ),
    'quantized_step': (
        {'worst_ratio_weights', 'ratio_with_activations', 'compute_dtype', 'model', 'batch_size'},
        {'variant', 'ms', 'ratio'},
    ),
    'selection_recovery': (
        {'unpruned', 'unpruned_exact'},
        {'ratio', 'selector', 'refit', 'macs_left', 'kept', 'shifted', 'exact'},
    ),
    'selector_speed': ({'wide'}, {'channels', 'features', 'obs_seconds', 'obs_ratio', 'lasso_seconds', 'lasso_ratio'}),
    'channel_select': (
        {
            'gather_over_convolution_float32',
            'gather_over_convolution_int8',
            'none_over_convolution_float32',
            'none_over_convolution_int8',
        },
        {'variant', 'macs_left', 'selects', 'ms_float32', 'ms_int8', 'time_float32', 'time_int8'},
    ),
    'int8_simulation': (
        {'steps'},
        {
            'network',
            'size',
            'bytes',
            'accuracy',
            'range',
            'mean_difference',
            'max_difference',
            'same_top1',
            'mean_between_kernels',
            'max_between_kernels',
            'operations',
        },
    ),
    'network_coverage': (
        {'prune_ratio', 'size', 'images'},
        {
            'network',
            'macs',
            'macs_left',
            'macs_by_profiler',
            'parameters_left',
            'difference',
            'export_difference',
            'int8_difference',
            'selects',
            'processor_seconds',
            'why',
        },
    ),
}


def test_every_benchmark_has_its_launcher_and_its_promises():
    scripts = {file.stem for file in FOLDER.glob('*.py')} - {'common', 'charts', 'children'}
    assert scripts == {file.stem for file in FOLDER.glob('*.sh')} == PROMISED.keys()


@pytest.mark.parametrize('name', PROMISED)
def test_the_launcher_starts_its_benchmark_in_the_environment(name: str):
    file = FOLDER / f'{name}.sh'
    assert os.access(file, os.X_OK)
    assert file.read_text(encoding='utf-8').splitlines()[-2:] == [
        "ensure_env ''",
        f'exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/{name}.py" "$@"',
    ]
    *_, condition, ending = (FOLDER / f'{name}.py').read_text(encoding='utf-8').splitlines()
    assert ending.startswith(f"    sys.exit(common.run('{name}', ") and ending.endswith('parser(), measure))')


def run(name: str, *words: str) -> Outcome:
    """The benchmark in this process, and the runs of main.py that it starts."""
    benchmark = importlib.import_module(f'pocketflow.scripts.benchmarks.{name}')
    parser = getattr(benchmark, 'make_parser', None) or benchmark.parser
    level = tf.get_logger().level
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', [f'{name}.py', *words])
        patch.setattr(common, 'run_main', lambda flags: run_main(*flags).code)
        outcome = outcome_of(lambda: common.run(name, parser(), benchmark.measure))
    tf.get_logger().setLevel(level)
    return outcome


def run_alone(name: str, *words: str, folder: Path) -> Outcome:
    """The benchmark as its launcher starts it."""
    ended = subprocess.run(
        [sys.executable, str(FOLDER / f'{name}.py'), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'TMPDIR': str(folder)},
        check=False,
    )
    return Outcome(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current and temporary folder, and no data set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    monkeypatch.delenv('POCKETFLOW_CIFAR10', raising=False)
    return tmp_path


def check_smoke(name: str, outcome: Outcome, folder: Path) -> None:
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.last_line)
    keys, row_keys = PROMISED[name]
    assert (report['benchmark'], report['smoke']) == (name, True)
    assert keys <= report.keys()
    assert all(row_keys <= row.keys() for row in report.get('rows', []))
    assert bool(report.get('rows')) == (row_keys is not None)
    assert 'MISSED' not in outcome.out  # tiny settings can judge no goal
    # TensorFlow says this of processors without float16 arithmetic, whatever its log level.
    lines = [
        line
        for line in outcome.err.splitlines()
        if 'oneDNN supports DT_HALF' not in line and 'All log messages before' not in line
    ]
    assert not [line for line in lines if 'WARNING' in line or 'oneDNN' in line]
    left = [path for path in folder.iterdir() if not path.name.startswith(AUTOGRAPH)]
    assert not left


AUTOGRAPH = '__autograph_generated_file'
"""How files of TensorFlow begin that go when the process ends."""
ALONE = 'training_speed'
"""The one that is tested as a process; that takes as long as loading TensorFlow."""


@pytest.mark.parametrize('name', sorted(PROMISED.keys() - {ALONE}))
def test_smoke(name: str, folder: Path):
    if name == 'gradient_compression' and importlib.util.find_spec('horovod') is None:
        pytest.skip('NOT RUN: Horovod is not installed; scripts/install_horovod.sh builds it')
    check_smoke(name, run(name, '--smoke'), folder)


def test_smoke_in_a_process_of_its_own(folder: Path):
    check_smoke(ALONE, run_alone(ALONE, '--smoke', folder=folder), folder)


def test_the_coverage_is_of_all_applications_of_keras():
    made = {name for name in dir(keras.applications) if name[0].isupper()}
    assert len(made) == len(network_coverage.APPLICATIONS) and made == {*network_coverage.APPLICATIONS}


def test_a_missing_data_folder_takes_one_line_and_exit_code_2(folder: Path):
    outcome = run('latency', f'--data_dir={folder}/none')
    assert (outcome.code, outcome.out) == (2, '')
    (line,) = outcome.err.splitlines()
    assert line.startswith(f'error: no data_batch_*.bin in {folder}/none')


def test_a_run_of_main_is_a_process_without_standard_output(capfd: pytest.CaptureFixture):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(common.sys, 'executable', '/bin/echo')
        assert common.run_main(['--seed=1']) == 0
        patch.setattr(common.sys, 'executable', '/bin/false')
        assert common.run_main([]) == 1
    out, err = capfd.readouterr()
    assert out == '' and err.splitlines()[0] == f'/bin/echo {ROOT}/main.py --seed=1'


@pytest.mark.parametrize('benchmark', [training_speed, channel_selection, latency, channel_select])
def test_without_data_the_way_out_is_named(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv('POCKETFLOW_CIFAR10', raising=False)
    arguments = benchmark.make_parser().parse_args(['--model=x'] if benchmark is channel_selection else [])
    with pytest.raises(UsageError, match='no data: give --data_dir=FOLDER or POCKETFLOW_CIFAR10=FOLDER .*, or --smoke'):
        benchmark.measure(arguments)


def test_the_environment_may_name_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv('POCKETFLOW_CIFAR10', str(tmp_path))
    with pytest.raises(UsageError, match=f'no data_batch_.* in {tmp_path};'):
        latency.measure(latency.make_parser().parse_args([]))


def test_channel_selection_needs_a_trained_model():
    with pytest.raises(UsageError, match='--model=PATH is missing: a trained ResNet at CIFAR-10'):
        channel_selection.measure(channel_selection.make_parser().parse_args(['--data_dir=x']))


@pytest.mark.parametrize(
    'benchmark, words, expected',
    [
        (latency, ['--smoke', '--model=x'], '--smoke uses no data set and no trained model: drop it, or --model'),
        (latency, ['--model=x', '--resnet_size=56'], 'not allowed with argument'),
        (latency, ['--resnet=56'], 'unrecognized arguments: --resnet=56; --help lists the flags'),
        (training_speed, ['--rounds=0'], 'argument --rounds: 0 is not a whole number >= 1'),
    ],
)
def test_a_wrong_command_line_is_refused(benchmark: ModuleType, words: list[str], expected: str):
    with pytest.raises(UsageError, match=expected):
        benchmark.make_parser().parse_args(words)


def test_a_smoke_test_has_numbers_of_its_own():
    parser = training_speed.make_parser()
    assert parser.parse_args([]).steps > parser.parse_args(['--smoke']).steps
    assert parser.parse_args(['--smoke', '--steps=7']).steps == 7
