from __future__ import annotations

import numpy as np
import pytest

from pocketflow.utils.export.lint.exported import NUM_OBSERVED, lint_entry
from pocketflow.utils.export.measure import Evaluation, FileUnderTest


def entry(path, shape, file_format='float32'):
    return lint_entry(FileUnderTest(file_format, path, Evaluation(np.ones(shape, np.float32), None)))


@pytest.mark.parametrize(('shape', 'is_observed'), [((NUM_OBSERVED + 1, 8, 8, 3), True), ((2, 5, 5, 3), False)])
def test_samples_are_used_if_the_file_takes_them(files, shape, is_observed):
    record = entry(files['clean', 'float32'], shape)['lint']
    assert record['operations'] == 3 and record['observed'] is is_observed


def test_integer_files_have_their_ranges_in_the_file(files):
    assert not entry(files['clean', 'int8'], (2, 8, 8, 3), 'int8')['lint']['observed']


def test_containers_have_no_entry(tmp_path):
    assert entry(tmp_path / 'model.pfz', (1, 8, 8, 3), 'pfz') == {}
