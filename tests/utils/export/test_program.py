"""Reasons of the converter, and calibration data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.program import Program, _single_samples, convert_program, file_formats, first_reason

PROGRAM = Program(Path('nowhere'), 'net', {'images': (2,)})


def test_the_reason_is_the_first_error():
    assert first_reason('loc\n  a: error: bad\n error: worse') == 'a: error: bad'
    assert first_reason('') == 'no reason given'


def test_a_program_that_holds_its_ranges_becomes_int8_only():
    trained = Program(Path('nowhere'), 'net', {'images': (2,)}, holds_ranges=True)
    for name in file_formats:
        if name != 'int8':
            with pytest.raises(PocketFlowError, match=f"'net' was trained for int8 .* cannot be converted to {name}"):
                convert_program(trained, name)


def test_what_the_converter_raises_is_one_line(monkeypatch):
    def fail(program, calibration):
        raise ValueError('first\nx.cc:1:2: error: no such operation\nlast')

    monkeypatch.setattr(file_formats._entries['float32'], 'component', fail)
    with pytest.raises(PocketFlowError) as found:
        convert_program(PROGRAM, 'float32')
    assert str(found.value) == "model 'net' cannot be converted to float32: x.cc:1:2: error: no such operation"


@pytest.mark.parametrize('split', [lambda array: array, lambda array: [array[:2], array[2:]]])
def test_samples_come_one_by_one(split):
    array = np.arange(6.0).reshape(3, 2)
    samples = list(_single_samples(split(array), PROGRAM))
    assert [sample['images'].tolist() for sample in samples] == [[[0, 1]], [[2, 3]], [[4, 5]]]
    assert {sample['images'].dtype for sample in samples} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ('calibration', 'message'),
    [
        ([np.zeros((2, 3))], r'batch of shape \(2, 3\), but .* takes \(None, 2\); give inputs only'),
        ([np.array([[0, 1], [np.nan, 1]])], 'calibration sample 1 holds values that are not finite'),
        ([], 'are empty; pass some training inputs'),
    ],
)
def test_unfit_samples_are_refused(calibration, message):
    with pytest.raises(PocketFlowError, match=message):
        list(_single_samples(calibration, PROGRAM))
