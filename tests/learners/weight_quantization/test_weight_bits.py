"""Which layers get how many bits, by options and plans."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.learners.uniform_quantization.learner import UniformQuantizationOptions
from pocketflow.learners.weight_quantization.weight_bits import (
    FIRST,
    LAST,
    channel_buckets,
    layer_bits,
    load_bits_plan,
    mean_bits,
    skip_reasons,
)
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.errors import UsageError
from pocketflow.utils.quantization import FULL_BITS
from pocketflow.utils.quantization.encoding import Buckets
from tests.learners.search.conftest import tiny_net


@pytest.fixture(scope='module')
def model() -> keras.Model:
    return tiny_net()


def options(**values) -> UniformQuantizationOptions:
    return UniformQuantizationOptions(**values)


def bits(model: keras.Model, plan: CompressionPlan | None = None, **values) -> dict[str, int]:
    given = options(**values)
    return layer_bits(model, skip_reasons(model, given), given, plan)


def test_first_and_last_layer_stay_unless_all_are_wanted(model):
    assert skip_reasons(model, options()) == {'a': FIRST, 'logits': LAST}
    assert skip_reasons(model, options(quantize_all_layers=True)) == {}
    assert bits(model, weight_bits=3) == {'b': 3, 'hidden': 3}
    assert bits(model, weight_bits=3, quantize_all_layers=True) == dict.fromkeys(('a', 'b', 'hidden', 'logits'), 3)


def test_a_plan_changes_what_it_names_and_may_leave_layers_out(model):
    plan = CompressionPlan('bits', 'tiny', {'b': 2, 'hidden': FULL_BITS})
    assert bits(model, plan, weight_bits=5) == {'b': 2}
    with pytest.raises(
        UsageError, match=r'the plan quantizes a, which stays in full precision \(first layer\); pass --'
    ):
        bits(model, CompressionPlan('bits', 'tiny', {'a': 2}))
    with pytest.raises(UsageError, match='no layer is left to quantize'):
        bits(model, CompressionPlan('bits', 'tiny', {'b': FULL_BITS, 'hidden': FULL_BITS}))


def test_widths_of_a_plan_must_be_those_of_the_learner(tmp_path):
    CompressionPlan('bits', 'tiny', {'b': 20}).save(tmp_path / 'plan.json')
    with pytest.raises(UsageError, match="plan.json: 20 bits for 'b'; give 1 to .*, or 32 to leave it as it is"):
        load_bits_plan(options(bits_plan=str(tmp_path / 'plan.json')), 'uniform')
    assert load_bits_plan(options(), 'uniform') is None


def test_mean_bits_are_per_weight(model):
    sizes = {name: model.get_layer(name).count_params() for name in ('b', 'hidden')}
    expected = (2 * sizes['b'] + 6 * sizes['hidden']) / sum(sizes.values())
    assert mean_bits(model, {'b': 2, 'hidden': 6}) == pytest.approx(expected)


def test_buckets_of_a_layer(model):
    layer = model.get_layer('hidden')  # 48 x 16
    assert options().buckets(layer) == Buckets()
    assert options(use_buckets=True, bucket_type='split', bucket_size=100).buckets(layer) == Buckets('split', 100)
    assert options(use_buckets=True, bucket_type='split', bucket_size=10**6).buckets(layer) == Buckets('split', 768)
    assert options(use_buckets=True, bucket_type='channel').buckets(layer) == Buckets('channel')
    depthwise = keras.layers.DepthwiseConv2D(3)
    depthwise.build((None, 4, 4, 2))
    assert channel_buckets(depthwise) == Buckets('channel', num_channel_axes=2)
