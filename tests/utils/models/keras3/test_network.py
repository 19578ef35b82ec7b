"""How Keras 3 names the places of layers in its files."""

from __future__ import annotations

import pytest

from pocketflow.utils.models.keras3.network import Places, snake_case


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('MultiHeadAttention', 'multi_head_attention'),
        ('Conv2D', 'conv2d'),
        ('PReLU', 'p_re_lu'),
        ('BatchNormalization', 'batch_normalization'),
        ('LSTM', 'lstm'),
    ],
)
def test_classes_in_small_letters(name, expected):
    assert snake_case(name) == expected


def test_siblings_of_one_class_are_numbered_from_the_second_on():
    places = Places()
    names = [places.next({'class_name': name}) for name in ('Dense', 'Conv2D', 'Dense', 'Dense', 'Conv2D')]
    assert names == ['dense', 'conv2d', 'dense_1', 'dense_2', 'conv2d_1']
