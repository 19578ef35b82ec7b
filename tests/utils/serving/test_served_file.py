"""What is read from files."""

from __future__ import annotations

import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.serving.served_file import read_served_file
from tests.utils.serving.conftest import LABELS, Files


def test_names_types_labels_and_figures_are_read(files: Files):
    served = read_served_file(files.int8)
    (source,), (result,) = served.inputs, served.outputs
    assert (source.name, source.dtype, source.shape) == ('values', 'int8', (4,)) and source.scale > 0
    assert result.name == 'scores' and result.shape == (3,)
    assert served.labels == LABELS and served.figures == {'metrics': {'accuracy': 0.5}} and served.state == ''
    assert source.metadata() == {
        'name': 'values',
        'datatype': 'FP32',
        'shape': [-1, 4],
        'parameters': {'file_datatype': 'INT8', 'scale': repr(source.scale), 'zero_point': str(source.zero_point)},
    }


def test_a_float_file_has_no_parameters(files: Files):
    served = read_served_file(files.float32)
    assert served.inputs[0].metadata() == {'name': 'values', 'datatype': 'FP32', 'shape': [-1, 4]}
    assert served.labels == () and served.figures == {}


def test_state_in_resources_is_seen(files: Files):
    assert read_served_file(files.resource).state == 'resources'


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(UsageError, match='there is no such file'):
        read_served_file(tmp_path / 'none.tflite')
    (tmp_path / 'bad.tflite').write_bytes(b'no model')
    with pytest.raises(UsageError, match=r'bad.tflite: LiteRT cannot load this file'):
        read_served_file(tmp_path / 'bad.tflite')
