"""Which layers and models simulate quantization."""

from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.utils.quantization.int8.inspect import is_quantization_aware, is_wrapped, step_variables, unwrapped
from pocketflow.utils.quantization.int8.wrapping import Settings, quantization_aware


def test_wrapped_layers_are_told_by_their_mark(make_net, images):
    model = make_net('lenet')
    wrapped = quantization_aware(model, images)
    assert is_quantization_aware(wrapped) and not is_quantization_aware(model)
    layer = wrapped.get_layer('conv')
    assert is_wrapped(layer) and isinstance(unwrapped(layer), keras.layers.Conv2D)
    plain = model.get_layer('conv')
    assert not is_wrapped(plain) and unwrapped(plain) is plain


def test_the_steps_of_inner_layers_are_found():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.BatchNormalization(name='norm')(inputs))
    wrapped = quantization_aware(model, np.ones((2, 4), np.float32), Settings(freeze_norm_delay=1))
    outer, inner = wrapped.get_layer('norm'), unwrapped(wrapped.get_layer('norm'))
    quantized_input = next(layer for layer in wrapped.layers if is_wrapped(layer) and layer is not outer)
    found = {id(variable) for variable in step_variables(wrapped)}
    assert found == {id(layer.optimizer_step) for layer in (quantized_input, outer, inner)}
    assert not step_variables(model)
