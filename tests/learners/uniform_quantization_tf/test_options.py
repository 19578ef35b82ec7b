"""Options of quantization-aware training that are refused."""

from __future__ import annotations

import pytest

from pocketflow.learners.uniform_quantization_tf.learner import UniformQuantizationTFOptions
from pocketflow.utils.errors import UsageError


def test_other_activation_widths_are_refused():
    with pytest.raises(UsageError, match='--uqtf_activation_bits=4: the file computes with activations of 8 bits'):
        UniformQuantizationTFOptions(activation_bits=4)
