from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import tf_keras as keras
from absl import logging

from pocketflow.nets.tasks import Classification
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.export import measure
from pocketflow.utils.export.formats import Source
from pocketflow.utils.export.latency import Timing
from pocketflow.utils.export.measure import Evaluation, FileUnderTest, export_files, keras_outputs, measure_files

QUICK = Timing(rounds=3, warmup=1, settling=1, invocations_per_round=2)


@pytest.fixture(scope='module')
def labels(logits) -> np.ndarray:
    """The model's own decisions, but for the first sample: its accuracy is 22/23."""
    labels = logits.argmax(-1)
    labels[0] = (labels[0] + 1) % 10
    return labels


def under_test(files, evaluation) -> dict[str, FileUnderTest]:
    return {name: FileUnderTest(name, path, evaluation) for name, path in files.items()}


@pytest.fixture(scope='module')
def export(net, images, labels, tmp_path_factory):
    directory = tmp_path_factory.mktemp('export')
    files = export_files(Source(net, {}, images), ['int8', 'float32'], directory)
    evaluation = Evaluation.of_model(net, images, labels, Classification())
    records = measure_files(under_test(files, evaluation), directory, 'float32', timing=QUICK)
    return directory, list(records.values())


def test_records_have_exactly_these_keys(export):
    _, records = export
    for record in records:
        assert list(record.to_json()) == [
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
        ]
    assert [record.to_json()['format'] for record in records] == ['int8', 'float32']


def test_records_survive_json(export):
    for record in export[1]:
        assert json.loads(json.dumps(record.to_json())) == record.to_json()


def test_figures_are_those_of_the_file(export):
    directory, records = export
    for record in records:
        content = (directory / record.path).read_bytes()
        assert record.path == f'model_{record.file_format}.tflite'
        assert record.num_bytes == len(content)
        assert record.gzip_bytes == len(gzip.compress(content, mtime=0))
        assert record.operators['CONV_2D'] == 2


def test_agreement_and_accuracy(export):
    int8, float32 = (record.to_json() for record in export[1])
    assert float32['metrics'] == {'accuracy': pytest.approx(22 / 23)}
    assert float32['same_answers'] == 1
    assert 0 < float32['max_abs_diff'] < 1e-4 < int8['max_abs_diff']
    assert 0 < int8['relative_max_abs_diff'] < 0.05


def test_latencies(export):
    for record in export[1]:
        as_json = record.to_json()
        for key in ('latency_ms', 'latency_ms_all_threads'):
            assert 0 < as_json[key]['p50'] <= as_json[key]['p90']
        assert len(record.latency.samples) == 6


def test_speedup_is_the_ratio_of_medians_to_the_reference(net, images, labels, tmp_path, monkeypatch):
    milliseconds = {'before': 6.0, 'after': 2.0}
    monkeypatch.setattr(
        measure,
        'time_alternating',
        lambda runners, sample, timing: {name: measure.Latency(milliseconds[name], 9.0, ()) for name in runners},
    )
    path = export_files(Source(net), ['float32'], tmp_path)['float32']
    file = FileUnderTest('float32', path, Evaluation.of_model(net, images, labels, Classification()))
    records = measure_files({'before': file, 'after': file}, tmp_path, 'before')
    assert [record.to_json()['speedup_vs_uncompressed'] for record in records.values()] == [1, 3]


def test_the_interval_is_that_of_the_rounds_and_includes_the_speedup(net, images, labels, tmp_path, monkeypatch):
    rounds = {'before': (6.0,) * 8, 'after': (2.0, 3.0, *(2.4,) * 6)}
    monkeypatch.setattr(
        measure,
        'time_alternating',
        lambda runners, sample, timing: {
            name: measure.Latency({'before': 6.0, 'after': 1.5}[name], 9.0, (), rounds[name]) for name in runners
        },
    )
    path = export_files(Source(net), ['float32'], tmp_path)['float32']
    file = FileUnderTest('float32', path, Evaluation.of_model(net, images, labels, Classification()))
    records = measure_files({'after': file, 'before': file}, tmp_path, 'before')
    assert list(records) == ['after', 'before']
    assert [record.to_json()['speedup_interval'] for record in records.values()] == [[2, 4], [1, 1]]


def test_a_container_is_unpacked_and_not_timed(net, images, labels, tmp_path):
    paths = export_files(Source(net), ['pfz', 'float32'], tmp_path)
    assert paths['pfz'].name == 'model.pfz'
    records = measure_files(
        under_test(paths, Evaluation.of_model(net, images, labels, Classification())), tmp_path, 'float32', timing=QUICK
    )
    packed = records['pfz'].to_json()
    assert (packed['max_abs_diff'], packed['same_answers'], packed['operators']) == (0, 1, {})
    assert packed['latency_ms'] is None and packed['speedup_vs_uncompressed'] is None
    assert packed['size_ratio'] == pytest.approx(paths['float32'].stat().st_size / packed['bytes'], abs=1e-4)


def test_unknown_format_stops_before_anything_is_written(net, tmp_path):
    with pytest.raises(UsageError, match="file format 'onnx'; known: dynamic, float16, float32, int8, mixed, pfz"):
        export_files(Source(net), ['float32', 'onnx'], tmp_path / 'new')
    assert not (tmp_path / 'new').exists()


def test_failed_conversion_leaves_the_file_of_before(net, tmp_path):
    path = tmp_path / 'model_int8.tflite'
    path.write_bytes(b'before')
    with pytest.raises(PocketFlowError, match='without calibration data'):
        export_files(Source(net), ['int8'], tmp_path)
    assert path.read_bytes() == b'before'
    assert list(tmp_path.iterdir()) == [path]


def test_export_replaces_files_and_leaves_no_temporary_ones(net, tmp_path):
    (tmp_path / 'model_float32.tflite').write_bytes(b'before')
    files = export_files(Source(net), ['float32'], tmp_path)
    assert list(tmp_path.iterdir()) == [files['float32']]
    assert files['float32'].stat().st_size > 1000


def test_a_float_file_that_computes_something_else_is_refused(net, images, labels, logits, tmp_path):
    files = export_files(Source(net), ['float32'], tmp_path)
    other = Evaluation(images, logits + np.linspace(0, 1, 10, dtype=np.float32), labels, Classification())
    with pytest.raises(PocketFlowError, match='float32.tflite: outputs differ from those of its model'):
        measure_files(under_test(files, other), tmp_path, 'float32', timing=QUICK)


def test_keras_outputs_are_batched_and_complete(net, images, logits):
    np.testing.assert_allclose(keras_outputs(net, images, batch_size=4), logits, rtol=1e-4, atol=1e-5)


def cancelling_net(scale: float) -> keras.Model:
    """Two outputs: scale * (x0 - x1), and x0."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(inputs))
    model.set_weights([np.float32([[scale, 1], [-scale, 0]])])
    return model


@pytest.mark.parametrize(('scale', 'is_its_own_fault'), [(1e6, True), (1.0, False)])
def test_a_model_that_magnifies_rounding_is_told_from_a_wrong_file(scale, is_its_own_fault, tmp_path, monkeypatch):
    inputs = np.random.default_rng(0).uniform(1, 2, (20, 1)).astype(np.float32).repeat(2, axis=1)
    evaluation = Evaluation.of_model(
        cancelling_net(scale), inputs, np.zeros(20, int), Classification()
    )  # the first output is 0
    off = evaluation.reference + np.float32([0.5, 0])
    monkeypatch.setattr(FileUnderTest, 'predict', lambda self, batch_size, run: off)
    file = FileUnderTest('float32', tmp_path / 'model_float32.tflite', evaluation)
    monkeypatch.setattr(logging, 'warning', lambda message, *args: messages.append(message % args))
    messages = []
    if is_its_own_fault:
        assert measure.check_file(file, 4).max_abs_diff == pytest.approx(0.5)
        assert 'because the model amplifies rounding errors' in messages[0]
    else:
        with pytest.raises(PocketFlowError, match='outputs differ from those of its model'):
            measure.check_file(file, 4)
        assert not messages
