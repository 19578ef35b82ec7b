"""Which layers get how many bits, by options and plans."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.learners.uniform_quantization.learner import UniformQuantizationOptions
from pocketflow.learners.weight_quantization.weight_bits import FIRST, LAST, layer_bits, load_bits_plan, skip_reasons
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.errors import UsageError
from pocketflow.utils.quantization.limits import FULL_BITS
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
    with pytest.raises(UsageError, match="plan.json: 20 bits for 'b'; give 1 to .*, or 32 for full precision"):
        load_bits_plan(options(bits_plan=str(tmp_path / 'plan.json')), 'uniform')
    assert load_bits_plan(options(), 'uniform') is None
