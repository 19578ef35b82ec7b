"""LeNet with ReLU and max pooling, after LeCun et al. 1998."""

from __future__ import annotations

import tf_keras as keras

layers = keras.layers


def lenet(
    image_shape: tuple[int, int, int], num_classes: int, padding: str = 'valid', name: str = 'lenet'
) -> keras.Model:
    """Two 5 x 5 convolutions with pooling, a hidden dense layer and the logits.

    Args:
      image_shape: (height, width, channels) of the input.
      num_classes: number of logits.
      padding: `'valid'` as published, `'same'` for images under 16 pixels.
      name: name of the model.
    """
    inputs = layers.Input(image_shape, name='images')
    features = inputs
    for block, filters in enumerate((32, 64), start=1):
        features = layers.Conv2D(filters, 5, padding=padding, activation='relu', name=f'conv{block}')(features)
        features = layers.MaxPooling2D(2, name=f'pool{block}')(features)
    features = layers.Flatten(name='flatten')(features)
    features = layers.Dense(256, activation='relu', name='fc3')(features)
    return keras.Model(inputs, layers.Dense(num_classes, name='fc4')(features), name=name)
