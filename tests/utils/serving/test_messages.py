"""The messages of the protocol: bytes as published, values back."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.utils.serving.messages import message, message_class, numbers, numpy_type


def test_fields_have_the_published_numbers():
    request = message('ModelInferRequest', model_name='m', id='7')
    request.parameters['raw'].bool_param = True
    tensor = request.inputs.add(name='x', datatype='FP32', shape=[1, 2])
    tensor.contents.fp32_contents.extend([1.0, -2.0])
    request.raw_input_contents.append(b'ab')
    # Field number << 3 | wire type, length, content, as the protocol's definition numbers the fields.
    expected = (
        b'\x0a\x01m'  # 1 model_name
        b'\x1a\x017'  # 3 id
        b'\x22\x09\x0a\x03raw\x12\x02\x08\x01'  # 4 parameters: key 1, value 2, bool_param 1
        b'\x2a\x19\x0a\x01x\x12\x04FP32\x1a\x02\x01\x02\x2a\x0a\x32\x08\x00\x00\x80\x3f\x00\x00\x00\xc0'  # 5 inputs
        b'\x3a\x02ab'  # 7 raw_input_contents
    )
    assert request.SerializeToString(deterministic=True) == expected
    assert message_class('ModelInferRequest').FromString(expected) == request


def test_a_parameter_has_one_value():
    parameter = message('InferParameter', bool_param=True)
    parameter.string_param = 'text'
    assert parameter.WhichOneof('parameter_choice') == 'string_param' and not parameter.bool_param


@pytest.mark.parametrize(
    ('datatype', 'field', 'values'),
    [
        ('FP32', 'fp32_contents', [1.5, 2.5]),
        ('INT8', 'int_contents', [-128, 127]),
        ('UINT8', 'uint_contents', [0, 255]),
    ],
)
def test_outputs_are_read_from_lists_and_from_bytes(datatype, field, values):
    output = message('ModelInferResponse.InferOutputTensor', name='y', datatype=datatype, shape=[1, 2])
    raw = np.array(values, numpy_type(datatype)).tobytes()
    assert numbers(output, raw).tolist() == [values]
    getattr(output.contents, field).extend(values)
    found = numbers(output, None)
    assert found.tolist() == [values] and found.dtype == numpy_type(datatype)


def test_texts_are_read_from_lists_and_from_bytes():
    output = message('ModelInferResponse.InferOutputTensor', name='y', datatype='BYTES', shape=[2])
    assert numbers(output, b'\x02\x00\x00\x00ab\x01\x00\x00\x00c').tolist() == ['ab', 'c']
    output.contents.bytes_contents.extend([b'ab', b'c'])
    assert numbers(output, None).tolist() == ['ab', 'c']
