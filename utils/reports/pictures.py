"""Small pictures for pages: arrays as PNG in `data:` addresses."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

SMALLEST, LARGEST = 96, 256
"""Smaller pictures are enlarged by whole factors to at least the first size, larger ones are reduced to the second."""
LEAST_HIGH = 32
"""Pictures whose greatest value is below this one have another range than 0 to 255."""


def picture(image: np.ndarray) -> str | None:
    """An image as the address of a PNG; None if the array is no picture.

    Args:
      image: `[height, width, channels]` with 1 or 3 channels. Pixels from 0 to 255 are shown as they are; other ranges
        are stretched to that one.
    """
    if image.ndim != 3 or image.shape[2] not in (1, 3) or not image.size:
        return None
    pixels = Image.fromarray(as_bytes(image).squeeze(2) if image.shape[2] == 1 else as_bytes(image))
    factor = -(-SMALLEST // max(pixels.size))
    if factor > 1:
        pixels = pixels.resize((pixels.width * factor, pixels.height * factor), Image.Resampling.NEAREST)
    pixels.thumbnail((LARGEST, LARGEST))
    content = io.BytesIO()
    pixels.save(content, 'PNG')
    return f'data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}'


def as_bytes(image: np.ndarray) -> np.ndarray:
    """Values as uint8: rounded if they are pixels from 0 to 255, else stretched to that range.

    >>> as_bytes(np.array([0.0, 127.6, 255.0])).tolist(), as_bytes(np.array([-1.0, 0.0, 1.0])).tolist()
    ([0, 128, 255], [0, 128, 255])
    """
    values = np.nan_to_num(np.asarray(image, np.float64))
    low, high = values.min(), values.max()
    if low < 0 or high > 255 or high < LEAST_HIGH:
        values = 255 * (values - low) / (high - low or 1.0)
    return np.round(values).astype(np.uint8)
