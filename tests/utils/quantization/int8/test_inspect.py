"""Which layers and models simulate quantization."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.utils.quantization.int8.inspect import is_quantization_aware, is_wrapped, unwrapped
from pocketflow.utils.quantization.int8.wrapping import quantization_aware


def test_wrapped_layers_are_told_by_their_mark(make_net, images):
    model = make_net('lenet')
    wrapped = quantization_aware(model, images)
    assert is_quantization_aware(wrapped) and not is_quantization_aware(model)
    layer = wrapped.get_layer('conv')
    assert is_wrapped(layer) and isinstance(unwrapped(layer), keras.layers.Conv2D)
    plain = model.get_layer('conv')
    assert not is_wrapped(plain) and unwrapped(plain) is plain
