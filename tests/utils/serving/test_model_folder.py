"""The folder that is written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.runs.records import DamagedRecordError
from pocketflow.utils.serving.model_folder import (
    checked_name,
    default_name,
    model_settings,
    read_folder,
    requirements,
    server_settings,
    write_folder,
)
from pocketflow.utils.serving.options import InitOptions
from pocketflow.utils.serving.served_file import ServedFile, Tensor

INT8 = np.dtype(np.int8)
SERVED = ServedFile((Tensor('x', INT8, (4,), 0.5, 3),), (Tensor('y', INT8, (2,), 0.1, 0),), labels=('no', 'yes'))


def test_settings_hold_what_runtime_and_clients_read():
    options = InitOptions(num_threads=2, max_batch_size=8, max_batch_time=0.01, max_request_samples=5, version='7')
    settings = model_settings('model_int8.tflite', SERVED, options, 'm', {'metrics': {'accuracy': 0.9}})
    assert settings['implementation'] == 'pocketflow_runtime.PocketFlowModel'
    assert settings['parameters']['uri'] == './model_int8.tflite' and settings['parameters']['version'] == '7'
    assert settings['parameters']['extra'] == {
        'num_threads': 2,
        'max_batch_size': 8,
        'max_batch_time': 0.01,
        'max_request_samples': 5,
        'state': '',
        'figures': {'metrics': {'accuracy': 0.9}},
        'labels': 'labels.txt',
        'labels_output': 'labels',
    }
    assert [entry['name'] for entry in settings['outputs']] == ['y', 'labels']
    assert 'max_batch_size' not in settings  # MLServer's own batching stays off


def test_an_output_that_is_called_labels_keeps_its_name():
    served = ServedFile(SERVED.inputs, (Tensor('labels', INT8, (2,), 0.1),), labels=('no', 'yes'))
    outputs = model_settings('f', served, InitOptions(), 'm', {})['outputs']
    assert [(entry['name'], entry['datatype']) for entry in outputs] == [('labels', 'FP32'), ('class_name', 'BYTES')]


def test_server_settings_leave_ports_to_the_environment():
    assert server_settings(InitOptions(parallel_workers=3, max_message_mb=2)) == {
        'debug': False,
        'parallel_workers': 3,
        'grpc_max_message_length': 2 << 20,
    }


def test_the_folder_is_complete_and_replaced_only_if_it_is_ours(tmp_path):
    (tmp_path / 'model.tflite').write_bytes(b'content')
    folder = tmp_path / 'new' / 'folder'
    for name in ('one', 'two'):
        write_folder(folder, tmp_path / 'model.tflite', SERVED, InitOptions(), name, {})
    assert {path.name for path in folder.iterdir()} == {
        'Dockerfile',
        'labels.txt',
        'model-settings.json',
        'model.tflite',
        'pocketflow_runtime.py',
        'requirements.txt',
        'settings.json',
    }
    assert read_folder(folder)['name'] == 'two' and (folder / 'labels.txt').read_text() == 'no\nyes\n'
    assert 'pocketflow' not in (folder / 'requirements.txt').read_text() + requirements()
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine/notes.txt').write_text('keep')
    for output, message in (('mine', 'holds other files'), ('model.tflite', 'is a file')):
        with pytest.raises(UsageError, match=message):
            write_folder(tmp_path / output, tmp_path / 'model.tflite', SERVED, InitOptions(), 'm', {})
    assert [path.name for path in (tmp_path / 'mine').iterdir()] == ['notes.txt']


def test_the_runtime_needs_nothing_of_this_package(tmp_path):
    (tmp_path / 'model.tflite').write_bytes(b'content')
    write_folder(tmp_path / 'f', tmp_path / 'model.tflite', SERVED, InitOptions(), 'm', {})
    text = (tmp_path / 'f/pocketflow_runtime.py').read_text()
    assert 'import pocketflow' not in text and 'from pocketflow' not in text and 'tensorflow' not in text


def test_other_folders_and_damaged_settings_are_named(tmp_path):
    with pytest.raises(UsageError, match='is no folder of pocketflow serve init'):
        read_folder(tmp_path)
    content = {'implementation': 'pocketflow_runtime.PocketFlowModel'}
    (tmp_path / 'model-settings.json').write_text(json.dumps(content))
    with pytest.raises(DamagedRecordError, match='make the folder again'):
        read_folder(tmp_path)


@pytest.mark.parametrize('name', ['', 'Lenet', '1net', 'a_b', 'a-', 'a' * 51, 'a/b'])
def test_names_that_kubernetes_refuses_are_refused(name):
    with pytest.raises(UsageError, match='lower-case letters, digits and dashes'):
        checked_name(name)


def test_default_names_are_accepted():
    for text in ('LeNet_at digits', 'a' * 80, 'x--y', 'efficientnet_lite0-ilsvrc12'):
        assert checked_name(default_name(text))
