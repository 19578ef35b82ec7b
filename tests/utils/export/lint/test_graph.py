from __future__ import annotations

import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.lint.graph import read_graph


def test_operations_with_their_tensors_and_options(graphs):
    graph = graphs['clean', 'float32']
    assert [operation.name for operation in graph.operations] == ['CONV_2D', 'MEAN', 'FULLY_CONNECTED']
    convolution, mean, _ = graph.operations
    assert (convolution.inputs[0].shape, convolution.outputs[0].shape) == ((1, 8, 8, 3), (1, 6, 6, 4))
    assert convolution.inputs[1].is_constant and convolution.inputs[1].values().shape == (4, 3, 3, 3)
    assert not convolution.inputs[0].is_constant
    assert (convolution.options['strideH'], convolution.options['fusedActivationFunction']) == (1, 3)
    assert sorted(mean.inputs[1].values()) == [1, 2]
    assert 'clean/conv2d' in convolution.place


def test_quantization_is_read(graphs):
    convolution = next(each for each in graphs['clean', 'int8'].operations if each.name == 'CONV_2D')
    assert len(convolution.inputs[1].scales) == 4 and convolution.outputs[0].type == 'INT8'
    assert len(convolution.outputs[0].scales) == 1 == len(convolution.outputs[0].zero_points)


@pytest.mark.parametrize('content', [b'', b'{"a": 1}', b'\x00' * 64, b'PK\x03\x04 an archive'])
def test_content_that_is_no_file(content):
    with pytest.raises(UsageError, match=r'x\.bin: this is no \.tflite file'):
        read_graph(content, 'x.bin')


@pytest.mark.parametrize('share', [0.02, 0.3, 0.6, 0.9])
def test_a_file_that_was_cut_off(files, share):
    content = files['sequence', 'float32'].read_bytes()
    with pytest.raises(UsageError, match='damaged or cut off'):
        read_graph(content[: int(share * len(content))])


def test_foreign_bytes_with_the_identifier():
    with pytest.raises(UsageError, match='damaged or cut off'):
        read_graph(b'\x10\x00\x00\x00TFL3' + b'\xff' * 200)
