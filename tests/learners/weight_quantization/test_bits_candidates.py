"""Candidates of the search for bits: the layers' own widths, and files that keep their budgets."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.search.file_bytes import codebook_bytes, grid_bytes, rest_bytes
from pocketflow.learners.weight_quantization.bits_candidates import BitsCandidates
from pocketflow.utils.container import pack
from pocketflow.utils.errors import UsageError
from pocketflow.utils.quantization import BucketQuantizer, CodebookQuantizer, quantized_copy, strip_quantization
from pocketflow.utils.quantization.encoding import Buckets
from pocketflow.utils.training.trainer import TrainerParts
from tests.learners.search.conftest import KERNELS, drawn, tiny_helper, tiny_net

SIZES = {name: math.prod(shape) for name, shape in KERNELS.items()}
TOTAL = sum(SIZES.values())
LOW, HIGH = 2, 6
QUANTIZERS = {
    'grids': lambda bits: BucketQuantizer(bits, Buckets()),
    'grids per channel': lambda bits: BucketQuantizer(bits, Buckets('channel')),
    'code books': lambda bits: CodebookQuantizer(bits, Buckets(), max_bits=HIGH),
    'code books per bucket': lambda bits: CodebookQuantizer(bits, Buckets('split', 300), max_bits=HIGH),
}


def make(kind: str = 'grids', mean_bits: float = 4.0, max_bytes: int | None = None) -> BitsCandidates:
    """Candidates whose network has its first weights again; they are made once."""
    candidates, weights = made(kind, mean_bits, max_bytes)
    candidates.model.set_weights(weights)
    return candidates


@functools.cache
def made(kind: str, mean_bits: float, max_bytes: int | None) -> tuple[BitsCandidates, list[np.ndarray]]:
    quantized = quantized_copy(tiny_net(), {name: QUANTIZERS[kind](HIGH) for name in KERNELS})
    candidates = BitsCandidates(quantized, list(KERNELS), (LOW, HIGH), mean_bits, max_bytes, TrainerParts())
    return candidates, candidates.model.get_weights()


@functools.cache
def rest_of(kind: str) -> int:
    """Bytes of the file beside the kernels."""
    quantized = quantized_copy(tiny_net(), {name: QUANTIZERS[kind](HIGH) for name in KERNELS})
    return rest_bytes(strip_quantization(quantized)[0], SIZES)


def bits_of(model: keras.Model) -> dict[str, int]:
    """The layers' own bit variables."""
    return {name: int(model.get_layer(name).quantizer.bits) for name in KERNELS}


def images() -> np.ndarray:
    return tiny_helper().training_images(10)


@pytest.mark.parametrize('method', ['random', 'tpe'])
@pytest.mark.parametrize('mean_bits', [2.5, 4, 5.3])
def test_the_layers_have_the_bits_of_the_candidate_and_keep_the_budget(method, mean_bits):
    candidates = make(mean_bits=mean_bits)
    for values in drawn(candidates.domain, method):
        candidates.apply(values)
        bits = bits_of(candidates.model)
        assert bits == values and all(LOW <= width <= HIGH for width in bits.values())
        used = sum(bits[name] * size for name, size in SIZES.items())
        assert used == candidates.domain.cost(values) <= mean_bits * TOTAL
        assert all(used + size > mean_bits * TOTAL for name, size in SIZES.items() if bits[name] < HIGH)


@pytest.mark.parametrize('kind', QUANTIZERS)
def test_kernels_have_no_more_values_than_their_bits_allow(kind):
    candidates = make(kind)
    first = candidates.model.get_weights()
    for values in drawn(candidates.domain, 'random', 3):
        candidates.model.set_weights(first)
        candidates.apply(values)
        _, encodings = strip_quantization(candidates.model)
        for name, encoding in encodings.items():
            matrix = encoding.buckets.matrix(encoding.decode())
            assert max(len(np.unique(column)) for column in matrix.T) <= 2 ** values[name]


@pytest.mark.parametrize('kind', QUANTIZERS)
def test_a_candidate_is_a_network_that_was_built_with_its_bits(kind):
    candidates = make(kind)
    values = drawn(candidates.domain, 'random', 2)[1]
    candidates.apply(values)
    built = quantized_copy(tiny_net(), {name: QUANTIZERS[kind](values[name]) for name in KERNELS})
    np.testing.assert_allclose(candidates.model(images()), built(images()), atol=1e-5)


@pytest.mark.parametrize('method', ['random', 'tpe'])
@pytest.mark.parametrize('kind', QUANTIZERS)
def test_files_keep_a_budget_in_bytes_and_use_it(kind, method):
    rest = rest_of(kind)
    least, most = (sum(math.ceil(bytes_of(kind, name, bits)) for name in SIZES) for bits in (LOW, HIGH))
    max_bytes = rest + (least + most) // 2
    candidates = make(kind, max_bytes=max_bytes)
    assert candidates.cost_unit == 'bytes of model.pfz' and candidates.budget == f'a file of {max_bytes:,} bytes'
    first = candidates.model.get_weights()
    for values in drawn(candidates.domain, method, 3):
        candidates.model.set_weights(first)
        candidates.apply(values)
        cost = sum(bytes_of(kind, name, bits) for name, bits in values.items())
        assert cost == pytest.approx(candidates.domain.cost(values)) and cost <= max_bytes - rest
        assert 0.7 * max_bytes < len(pack(*strip_quantization(candidates.model))) <= max_bytes


@functools.cache
def bytes_of(kind: str, name: str, bits: int) -> float:
    count = {
        'grids': 1,
        'grids per channel': KERNELS[name][-1],
        'code books': 1,
        'code books per bucket': math.ceil(SIZES[name] / 300),
    }[kind]
    return (codebook_bytes if 'books' in kind else grid_bytes)(SIZES[name], bits, count)


def test_the_uniform_choice_is_the_same_for_all():
    candidates = make(mean_bits=5)
    assert candidates.domain.uniform() == dict.fromkeys(KERNELS, 5)
    assert (candidates.searched, candidates.budget, candidates.cost_unit) == ('bits', '5 bits per weight', 'bits')
    assert candidates.sizes == SIZES and candidates.reward(0.7, candidates.domain.uniform()) == 0.7


def test_budgets_out_of_reach():
    with pytest.raises(
        UsageError,
        match='^a mean of 1.5 bits per weight is out of reach: with the bounds of these 4 '
        'layers from a mean of 2 bits per weight to a mean of 6 bits per weight is '
        'reachable$',
    ):
        make(mean_bits=1.5)
    with pytest.raises(
        UsageError,
        match=r'^a file of 10 bytes is out of reach: .* from a file of [\d,]+ bytes to a '
        r'file of [\d,]+ bytes is reachable$',
    ):
        make(max_bytes=10)
