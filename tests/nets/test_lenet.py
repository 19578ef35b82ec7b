"""LeNet of the published size."""

from __future__ import annotations

from pocketflow.nets.lenet import lenet


def test_lenet_has_the_published_size():
    assert lenet((32, 32, 3), 10).count_params() == 466122


def test_padding_keeps_small_images():
    model = lenet((8, 8, 1), 10, padding='same', name='small')
    assert model.name == 'small' and model.get_layer('pool2').output_shape == (None, 2, 2, 64)
    assert [layer.name for layer in model.layers] == [
        *('images', 'conv1', 'pool1', 'conv2', 'pool2', 'flatten', 'fc3', 'fc4')
    ]
