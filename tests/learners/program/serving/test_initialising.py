"""`pocketflow serve init` of finished runs and of files."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from pocketflow.learners.program.serving.initialising import choose
from pocketflow.utils.errors import UsageError
from tests.conftest import run_main

pytestmark = pytest.mark.usefixtures('own_folder')


def test_a_run_becomes_a_folder_with_its_figures(pruned_run, tmp_path):
    outcome = run_main('serve', 'init', pruned_run.path, '--format=int8', '--output=folder', '--model_version=4')
    assert outcome.code == 0, outcome.err
    settings = json.loads((tmp_path / 'folder/model-settings.json').read_text())
    assert settings['name'] == 'lenet-digits' and settings['parameters']['version'] == '4'
    (tensor,) = settings['inputs']
    assert (tensor['name'], tensor['datatype'], tensor['shape']) == ('images', 'FP32', [-1, 8, 8, 1])
    (entry,) = [item for item in pruned_run.report['exports'] if item['format'] == 'int8']
    figures = settings['parameters']['extra']['figures']
    assert figures['metrics'] == entry['metrics'] and figures['bytes'] == entry['bytes']
    content = (tmp_path / 'folder/model_int8.tflite').read_bytes()
    assert content == (pruned_run.path / 'model_int8.tflite').read_bytes()
    assert (tmp_path / 'folder/labels.txt').read_text().splitlines() == [str(digit) for digit in range(10)]
    made = run_main('serve', 'manifests', 'folder', '--kind=kserve', '--image=mine:1')
    assert made.code == 0 and yaml.safe_load(made.out)['metadata']['name'] == 'lenet-digits'


def test_a_file_becomes_a_folder_beside_it(pruned_run, tmp_path):
    shutil.copy(pruned_run.path / 'model_float32.tflite', tmp_path / 'My_Net.tflite')
    outcome = run_main('serve', 'init', 'My_Net.tflite')
    assert outcome.code == 0, outcome.err
    settings = json.loads((tmp_path / 'My_Net_serve/model-settings.json').read_text())
    assert settings['name'] == 'my-net' and settings['parameters']['extra']['figures']['model'] == 'lenet'


def test_the_default_is_the_file_of_the_verdict_in_the_run(pruned_run):
    choice = choose(pruned_run.path, None)
    assert choice.file == pruned_run.path / pruned_run.report['exports'][0]['path']
    assert choice.output == pruned_run.path / 'serve'


def test_what_cannot_be_served_is_named(pruned_run, tmp_path):
    with pytest.raises(UsageError, match='holds no finished run'):
        choose(tmp_path, None)
    with pytest.raises(UsageError, match='--format=int4: the run has float32, float16'):
        choose(pruned_run.path, 'int4')
    with pytest.raises(UsageError, match='--format=int8: model.tflite is a file already'):
        choose(tmp_path.relative_to(tmp_path) / 'model.tflite', 'int8')
    assert run_main('serve', 'init', 'none.tflite').code == 2
