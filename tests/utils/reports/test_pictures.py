from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from pocketflow.utils.reports.pictures import LARGEST, SMALLEST, as_bytes, picture


def opened(address: str) -> Image.Image:
    kind, _, content = address.partition(',')
    assert kind == 'data:image/png;base64'
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_pixels_are_shown_as_they_are():
    image = np.array([[[10, 20, 30], [200, 100, 0]]], np.uint8)
    shown = opened(picture(image))
    assert shown.mode == 'RGB' and shown.size == (SMALLEST, SMALLEST // 2)
    assert shown.getpixel((0, 0)) == (10, 20, 30) and shown.getpixel((SMALLEST - 1, 0)) == (200, 100, 0)


def test_grey_and_large_pictures():
    shown = opened(picture(np.full((1000, 500, 1), 70, np.float32)))
    assert shown.mode == 'L' and shown.size == (LARGEST // 2, LARGEST) and shown.getpixel((5, 5)) == 70


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ([0, 100, 255], [0, 100, 255]),
        ([-2.0, 0.0, 2.0], [0, 128, 255]),  # normalised
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0, 500, 1000], [0, 128, 255]),
        ([99.0, 99.0], [99, 99]),
        ([0, 8, 16], [0, 128, 255]),  # as in scikit-learn's digits
        ([0.5, 0.5], [0, 0]),
    ],
)
def test_other_ranges_are_stretched(values, expected):
    assert as_bytes(np.array(values)).tolist() == expected


@pytest.mark.parametrize('shape', [(5,), (4, 4), (4, 4, 2), (0, 4, 3), (2, 4, 4, 3)])
def test_what_is_no_picture(shape):
    assert picture(np.zeros(shape)) is None
