"""A small net and encodings of its kernels."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.utils.quantization.encoding import Buckets, Encoding
from tests.utils.container.samples import encoded, fill, residual_net


@pytest.fixture
def net() -> keras.Model:
    return fill(residual_net())


@pytest.fixture
def encodings() -> dict[str, Encoding]:
    """One of each kind for the kernels of `net`."""
    return {
        'stem': encoded('symmetric', 4, Buckets('channel'), (3, 3, 3, 8)),
        'depthwise': encoded('asymmetric', 3, Buckets('channel', num_channel_axes=2), (3, 3, 8, 1)),
        'conv': encoded('codebook', 2, Buckets('split', size=24), (1, 1, 8, 8)),
        'logits': encoded('codebook', 5, Buckets(), (3, 4)),
    }
