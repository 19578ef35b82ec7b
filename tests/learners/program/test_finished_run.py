"""What a whole run leaves behind: its directory, its report, and files that compute what the model computes."""

from __future__ import annotations

import json
import re

import numpy as np
import tf_keras as keras

from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.export.operators import new_operators
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.graph.channel_select import ChannelSelect
from tests.conftest import ONE_FILE, PRUNING, QUICK, metric_lines, run_main
from tests.datasets.conftest import write_cifar10
from tests.learners.conftest import make_helper

REPORT_KEYS = {
    'schema',
    'model',
    'dataset',
    'learners',
    'seed',
    'task',
    'command',
    'versions',
    'machine',
    'baseline',
    'compressed',
    'exports',
    'files',
    'stages',
    'layers',
    'searches',
    'seconds',
    'verdict',
}
ENTRY_KEYS = {
    'metrics',
    'parameters',
    'macs',
    'keras_bytes',
    'file',
    'file_bytes',
    'file_metrics',
    'timed_file',
    'latency_ms',
    'latency_ms_all_threads',
    'speedup_interval',
    'speedup_interval_all_threads',
}
STAGE_KEYS = {'learner', 'metrics_compressed', 'metrics', 'parameters', 'macs', 'sparsity', 'bits'}
EXPORT_KEYS = {
    'lint',
    'format',
    'path',
    'bytes',
    'gzip_bytes',
    'metrics',
    'max_abs_diff',
    'relative_max_abs_diff',
    'same_answers',
    'latency_ms',
    'latency_ms_all_threads',
    'size_ratio',
    'speedup_vs_uncompressed',
    'speedup_interval',
    'speedup_interval_all_threads',
    'operators',
}
FORMATS = ('float32', 'float16', 'dynamic', 'int8')


def test_run_directory_holds_everything(pruned_run):
    names = {path.name for path in pruned_run.path.iterdir()} - {'.lock'}
    assert names == {
        'flags.txt',
        'config.yaml',
        'data.txt',
        'log.txt',
        'metrics.jsonl',
        'events',
        'seconds.json',
        '0-full-prec',
        '1-chn-pruned-rmt',
        'model.keras',
        'baseline',
        'report.json',
        'report.html',
        *(f'model_{name}.tflite' for name in FORMATS),
    }
    baseline = {path.name for path in (pruned_run.path / 'baseline').iterdir()}
    assert baseline == {'model.keras', 'metrics.json', 'model_float32.tflite'}
    assert not list(pruned_run.path.rglob('.tmp-*'))
    assert CompressionPlan.load(pruned_run.path / '1-chn-pruned-rmt' / 'plan.json').values['conv2']
    assert [line['stage'] for line in metric_lines(pruned_run.path)] == ['0-full-prec/train', '1-chn-pruned-rmt/train']
    assert list((pruned_run.path / 'events' / '1-chn-pruned-rmt').rglob('events.out.tfevents*'))
    log = (pruned_run.path / 'log.txt').read_text()
    assert re.search(r' 1-chn-pruned-rmt step (\d+)/\1 \[100 %\] ', log) and ' full-prec: loss ' in log


def test_report_has_the_agreed_keys(pruned_run):
    report = pruned_run.report
    assert report.keys() == REPORT_KEYS
    assert report['baseline'].keys() == report['compressed'].keys() == ENTRY_KEYS
    assert [item['format'] for item in report['exports']] == list(FORMATS)
    assert all(item.keys() == EXPORT_KEYS for item in report['exports'])
    assert [stage.keys() for stage in report['stages']] == [STAGE_KEYS]
    assert report['verdict'].keys() == {'smaller', 'faster', 'metric_drop', 'size_ratio', 'speedup', 'speedup_interval'}
    assert report['seconds'].keys() == {'train', 'select', 'finetune', 'export'}
    assert report['command'].startswith('python main.py --model=lenet --dataset=digits')
    assert (report['schema'], report['model'], report['dataset'], report['seed']) == (2, 'lenet', 'digits', 0)
    assert report['learners'] == ['chn-pruned-rmt']


def test_report_agrees_with_the_files(pruned_run):
    report, run = pruned_run.report, pruned_run.path
    for entry, folder in ((report['compressed'], run), (report['baseline'], run / 'baseline')):
        assert entry['keras_bytes'] == (folder / 'model.keras').stat().st_size
        assert entry['file_bytes'] == (folder / 'model_float32.tflite').stat().st_size
        assert entry['parameters'] == keras.models.load_model(folder / 'model.keras', compile=False).count_params()
    for item in report['exports']:
        assert item['bytes'] == (run / item['path']).stat().st_size
    for key, total in (('macs', 'macs'), ('parameters', 'parameters')):
        assert sum(row[key][0] for row in report['layers']) == report['baseline'][total]
        assert sum(row[key][1] for row in report['layers']) == report['compressed'][total]


def test_the_compressed_model_is_really_smaller(pruned_run):
    before, after = pruned_run.report['baseline'], pruned_run.report['compressed']
    assert after['parameters'] < 0.5 * before['parameters']
    assert after['macs'] < 0.35 * before['macs']
    assert after['keras_bytes'] < 0.5 * before['keras_bytes']
    assert after['file_bytes'] < 0.5 * before['file_bytes']
    assert pruned_run.report['verdict']['smaller']


def test_the_exported_file_by_itself_computes_what_the_model_computes(pruned_run):
    images = make_helper().training_images(30, seed=1)
    for folder in (pruned_run.path, pruned_run.path / 'baseline'):
        model = keras.models.load_model(folder / 'model.keras', compile=False)
        logits = LiteRtRunner(folder / 'model_float32.tflite').predict(images)
        np.testing.assert_allclose(logits, model(images, training=False), rtol=1e-4, atol=1e-4)


def test_pruning_adds_no_operators(pruned_run, tmp_path):
    write_cifar10(tmp_path / 'data')
    outcome = run_main(
        '--model=resnet',
        '--resnet_size=8',
        '--dataset=cifar10',
        f'--data_dir_local={tmp_path}/data',
        '--nb_smpls_train=100',
        '--nb_smpls_val=20',
        '--nb_smpls_eval=20',
        '--batch_size=20',
        *QUICK,
        *PRUNING,
        '--cpr_nb_smpls=30',
        '--nb_epochs_rat=0.002',
        '--nb_epochs_rat_ft=0.002',
        ONE_FILE,
        f'--run_dir={tmp_path}/run',
    )
    assert outcome.code == 0, outcome.err
    for run in (pruned_run.path, tmp_path / 'run'):
        model = keras.models.load_model(run / 'model.keras', compile=False)
        before, after = (
            LiteRtRunner(folder / 'model_float32.tflite').operators() for folder in (run / 'baseline', run)
        )
        num_selects = sum(isinstance(layer, ChannelSelect) for layer in model.layers)
        assert num_selects == 0, 'readers of a residual stream share their channels'
        assert not new_operators(before, after, num_selects)
    report = json.loads((tmp_path / 'run' / 'report.json').read_text())
    assert report['model'] == 'resnet_8' and report['compressed']['macs'] < 0.6 * report['baseline']['macs']


def test_terminal_ends_with_the_verdict(pruned_run):
    out = pruned_run.outcome.out
    assert pruned_run.outcome.last_line.startswith('verdict: smaller (2.')
    assert f'report: {pruned_run.path}/report.html' in out
    assert 'lenet at digits, chn-pruned-rmt' in out and 'inputs kept: first convolution' in out
    assert pruned_run.outcome.err.count('run directory') == 1
