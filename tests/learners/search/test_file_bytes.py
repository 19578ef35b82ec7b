"""Upper bounds of the container's size, by hand and against real containers."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.learners.search.file_bytes import (
    MANIFEST_BYTES_PER_LAYER,
    codebook_bytes,
    grid_bytes,
    num_buckets,
    rest_bytes,
    sparse_bytes,
)
from pocketflow.utils.container import pack, tensor_table
from pocketflow.utils.quantization.encoding import Buckets
from tests.learners.search.conftest import KERNELS, tiny_net


def test_a_sparse_kernel_is_values_and_a_bitmap_or_gaps():
    assert sparse_bytes(80, 0.75) == 10 + 4 * 20
    assert sparse_bytes(8, 0.0) == 1 + 32
    assert sparse_bytes(25500, 0.96) == pytest.approx(4 * 1020 + 1020 + 100)


def test_a_quantized_kernel_is_codes_and_what_they_stand_for():
    assert grid_bytes(80, 3, 1) == 30 + 8  # one float32 scale, one float32 offset
    assert grid_bytes(80, 3, 10) == 30 + 80
    assert codebook_bytes(80, 3, 1) == 30 + 4 * 8
    assert codebook_bytes(80, 1, 5) == 10 + 4 * 2 * 5


@pytest.mark.parametrize(
    ('buckets', 'count'),
    [(Buckets(), 1), (Buckets('channel', num_channel_axes=1), 8), (Buckets('split', 36), 2), (Buckets('split', 50), 2)],
)
def test_number_of_buckets(buckets, count):
    assert num_buckets(buckets, KERNELS['a']) == count


def test_the_rest_is_the_file_without_the_kernels():
    model = tiny_net()
    content = pack(model)
    kernels = {row.name.split('/')[0]: row.num_bytes for row in tensor_table(content) if len(row.shape) > 1}
    assert set(kernels) == set(KERNELS)
    rest = rest_bytes(model, {'b', 'hidden'})
    assert rest == len(content) - kernels['b'] - kernels['hidden'] + 3 * MANIFEST_BYTES_PER_LAYER


def test_the_rest_does_not_depend_on_the_kernels():
    model, other = tiny_net(), tiny_net()
    for name in KERNELS:
        other.get_layer(name).kernel.assign(np.zeros(KERNELS[name], np.float32))
    assert abs(rest_bytes(model, KERNELS) - rest_bytes(other, KERNELS)) < MANIFEST_BYTES_PER_LAYER
