from __future__ import annotations

import numpy as np
import pytest

from pocketflow.learners.program.linting import read_samples
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.lint.graph import read_graph
from tests.conftest import TASK, run_main


@pytest.fixture(scope='module')
def file(trained_run):
    return trained_run.path / 'model_float32.tflite'


def lint(*arguments):
    return run_main('--exec_mode=lint', *arguments)


def test_a_file_is_linted_without_a_pair(file):
    outcome = lint(f'--tflite={file}')
    assert outcome.code == 0, outcome.err
    assert 'CONV_2D' in outcome.out and 'XNNPACK runs' in outcome.out and 'asked of LiteRT' in outcome.out


def test_samples_and_a_required_delegate(file, tmp_path):
    graph = read_graph(file.read_bytes())
    np.save(tmp_path / 'x.npy', np.ones((2, *graph.inputs[0].shape[1:]), np.float32))
    arguments = (f'--tflite={file}', f'--lint_samples={tmp_path / "x.npy"}')
    outcome = lint(*arguments, '--require_full_delegation=xnnpack')
    assert outcome.code == 0 and 'no samples at hand' not in outcome.out, outcome.err


@pytest.mark.parametrize(
    ('content', 'reason'), [(b'foreign', 'no .tflite file'), (b'\x10\x00\x00\x00TFL3' + b'\xff' * 99, 'damaged')]
)
def test_a_file_that_is_none(tmp_path, content, reason):
    (tmp_path / 'x.tflite').write_bytes(content)
    outcome = lint(f'--tflite={tmp_path / "x.tflite"}')
    assert outcome.code == 2 and reason in outcome.err and outcome.err.count('\n') == 1


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        ((), '--tflite is missing'),
        (('--tflite=missing.tflite',), 'there is no such file'),
        (('--tflite=x', '--model=lenet'), "Unknown command line flag 'model'"),
        (('--tflite=x', '--require_full_delegation=npu'), 'xnnpack'),
    ],
)
def test_unusable_flags(arguments, reason):
    outcome = lint(*arguments)
    assert outcome.code == 2 and reason in outcome.err


@pytest.mark.parametrize('mode', ['check', 'eval', 'benchmark'])
def test_modes_that_export_nothing_require_no_delegation(mode):
    outcome = run_main(*TASK, f'--exec_mode={mode}', '--require_full_delegation=gpu')
    assert outcome.code == 2 and '--require_full_delegation=gpu' in outcome.err


def test_samples_that_cannot_be_used(tmp_path):
    with pytest.raises(UsageError, match='there is no such file'):
        read_samples(str(tmp_path / 'x.npy'))
    (tmp_path / 'x.npy').write_bytes(b'no array')
    with pytest.raises(UsageError, match=r'this is no \.npy file'):
        read_samples(str(tmp_path / 'x.npy'))
    np.save(tmp_path / 'y.npy', np.array(3.0))
    with pytest.raises(UsageError, match='at least one sample'):
        read_samples(str(tmp_path / 'y.npy'))


def test_the_report_holds_the_lint_of_each_file(trained_run):
    (item,) = trained_run.report['exports']
    assert item['lint']['operations'] == sum(item['operators'].values()) and item['lint']['observed']
    assert [each['name'] for each in item['lint']['delegates']] == ['xnnpack', 'gpu', 'nnapi']
    assert 'Accelerators' in (trained_run.path / 'report.html').read_text()
    assert 'XNNPACK ops' in trained_run.outcome.out
