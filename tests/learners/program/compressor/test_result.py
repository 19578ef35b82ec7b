"""A finished run as objects."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from pocketflow.learners.program.compressor.result import CompressionResult
from pocketflow.utils.runs.records import DamagedRecordError


def test_model_files_and_plan_are_those_of_the_directory(pruned_run):
    result = CompressionResult(pruned_run.path)
    assert list(result.files) == [entry['format'] for entry in pruned_run.report['exports']]
    assert all(path.is_file() and path.parent == result.run_dir for path in result.files.values())
    assert result.model.count_params() == pruned_run.report['compressed']['parameters']
    assert result.model(np.zeros((1, 8, 8, 1), np.float32)).shape == (1, 10)
    assert list(result.plans) == ['chn-pruned-rmt'] and result.plan.values.keys() == {'conv2', 'fc3'}
    assert 'verdict: smaller' in str(result) and str(result).endswith(f'report: {result.run_dir}/report.html')


def test_a_run_without_a_plan(trained_run):
    assert CompressionResult(trained_run.path).plan is None


def test_a_report_that_is_gone_or_damaged_is_named(trained_run, tmp_path):
    with pytest.raises(DamagedRecordError, match=r'report\.json: is gone; give the directory of a finished run'):
        CompressionResult(tmp_path)
    shutil.copy(trained_run.path / 'report.json', tmp_path)
    (tmp_path / 'report.json').write_text('{}')
    with pytest.raises(DamagedRecordError):
        CompressionResult(tmp_path)
