"""Image files -> pixels: JPEG and PNG by TensorFlow, which needs no interpreter, other formats by Pillow.

All become RGB of 8 bits: of grey images, three equal channels; of 16 bits, the upper eight; of CMYK, what the JPEG
library makes of it; of several frames, the first. What is transparent is laid on white. EXIF orientations are applied.
"""

from __future__ import annotations

import dataclasses
import io
import warnings
from collections.abc import Collection

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from pocketflow.datasets.sources.image_headers import JPEG, OTHER, PNG, PNG_WITH_ALPHA, BadImageError, Header, has_alpha
from pocketflow.datasets.sources.storage import opened
from pocketflow.utils.errors import first_line

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue, as in JPEG (ITU-R BT.601)."""
WHITE = 255
CENTRAL_SHARE = 0.875
"""Share of height and width that is kept in evaluations on ImageNet: 224 of 256 pixels."""
CHECK_RATIO = 8
"""A JPEG is checked at this fraction of its size: all its bytes are read, most of the arithmetic is saved."""


@dataclasses.dataclass(frozen=True)
class Form:
    """Form of the decoded images.

    Attributes:
      size: height and width.
      num_channels: 3, or 1 for grey.
      fit, antialias: as for `resize`.
    """

    size: tuple[int, int]
    num_channels: int = 3
    fit: str = 'stretch'
    antialias: bool = False


def on_white(image: tf.Tensor) -> tf.Tensor:
    """RGBA `[height, width, 4]` -> RGB, uint8: transparent parts show white, half transparent ones half of it."""
    wide = tf.cast(image, tf.int32)
    alpha = wide[..., 3:]
    return tf.cast((wide[..., :3] * alpha + WHITE * (255 - alpha) + 127) // 255, tf.uint8)


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns an image `[height, width, channels]` as its EXIF orientation says.

    Args:
      image: float32, as it is stored (TensorFlow's own library complains when it transposes bytes).
      orientation: scalar int32, 1 to 8.
    """

    def swapped(pixels: tf.Tensor) -> tf.Tensor:
        return tf.transpose(pixels, [1, 0, 2])

    turns = [
        lambda: image,
        lambda: image[:, ::-1],
        lambda: image[::-1, ::-1],
        lambda: image[::-1],
        lambda: swapped(image),
        lambda: swapped(image[::-1]),  # a quarter turn clockwise
        lambda: swapped(image[::-1, ::-1]),
        lambda: swapped(image[:, ::-1]),
    ]
    return tf.switch_case(orientation - 1, turns)


def by_pillow(content: bytes) -> np.ndarray:
    """RGB uint8 `[height, width, 3]` of a file of any format, turned upright; its first frame.

    Raises:
      BadImageError: it cannot be decoded.
    """
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content)) as image:
            warnings.simplefilter('ignore')
            turned = ImageOps.exif_transpose(image)
            if not has_alpha(turned):
                return np.asarray(turned.convert('RGB'))
            return on_white(tf.constant(np.asarray(turned.convert('RGBA')))).numpy()
    except Exception as error:  # Pillow raises exceptions of many types for damaged files
        raise BadImageError(f'{type(error).__name__}: {first_line(error)}') from error


def decode(content: tf.Tensor, kind: tf.Tensor, kinds: Collection[int]) -> tf.Tensor:
    """RGB uint8 `[height, width, 3]` of a file, as it is stored.

    Args:
      content: the bytes, a scalar string.
      kind: as `image_headers.Header` has it, scalar int32.
      kinds: those that there are.
    """
    ways = {
        JPEG: lambda: tf.io.decode_jpeg(content, 3),
        PNG: lambda: tf.io.decode_png(content, 3),
        PNG_WITH_ALPHA: lambda: on_white(tf.io.decode_png(content, 4)),
        OTHER: lambda: tf.numpy_function(by_pillow, [content], tf.uint8, stateful=False),
    }
    if len(kinds) == 1:
        (image,) = (ways[one]() for one in kinds)
    else:
        image = tf.switch_case(kind, {one: ways[one] for one in kinds} | dict.fromkeys({*ways} - {*kinds}, _nothing))
    image.set_shape([None, None, 3])
    return image


def _nothing() -> tf.Tensor:
    """Placeholder of branches that cannot occur, which keeps the graph small."""
    return tf.zeros([1, 1, 3], tf.uint8)


def load(
    content: tf.Tensor, kind: tf.Tensor, orientation: tf.Tensor, form: Form, kinds: Collection[int], any_turned: bool
) -> tf.Tensor:
    """float32 `[height, width, channels]`, values 0 to 255, of a file in the given form.

    Args:
      content: the bytes, a scalar string.
      kind, orientation: as `image_headers.Header` has them, scalar int32.
      form: size, channels, and how they are reached.
      kinds: those that there are.
      any_turned: whether there are orientations but 1.
    """
    height, width = form.size
    # Rotated after resizing, which is cheaper for large photographs.
    size = tf.where(orientation > 4, [width, height], [height, width])
    image = resize(decode(content, kind, kinds), size, form.fit, form.antialias)
    image = tf.ensure_shape(upright(image, orientation) if any_turned else image, [height, width, 3])
    return to_grey(image) if form.num_channels == 1 else image


def check(path: str, header: Header) -> None:
    """Raises a `BadImageError` if the file cannot be decoded to its end."""
    try:
        with opened(path) as file:
            content = file.read()
    except OSError as error:
        raise BadImageError(error.strerror or first_line(error)) from error
    check_content(content, header)


def check_content(content: bytes, header: Header) -> None:
    """As `check`, of the bytes of a file."""
    if header.kind == OTHER:
        by_pillow(content)
        return
    try:
        with tf.device('CPU'):
            if header.kind == JPEG:
                tf.io.decode_jpeg(content, 3, ratio=CHECK_RATIO)
            else:
                tf.io.decode_png(content, 4 if header.kind == PNG_WITH_ALPHA else 3)
    except tf.errors.OpError:
        raise BadImageError('cannot be decoded: damaged, or cut off') from None


def formed(image: tf.Tensor, form: Form) -> tf.Tensor:
    """float32 `[height, width, channels]` of the form, from pixels `[height, width, 1 or 3]` of any numeric type."""
    height, width = form.size
    image = tf.cast(image, tf.float32)
    if tuple(image.shape[:2]) != form.size:
        image = resize(image, tf.constant(form.size), form.fit, form.antialias)
    if image.shape[2] != form.num_channels:
        image = image * tf.ones([3])  # grey becomes three equal channels
        image = to_grey(image) if form.num_channels == 1 else image
    return tf.ensure_shape(image, [height, width, form.num_channels])


def resize(image: tf.Tensor, size: tf.Tensor, fit: str, antialias: bool) -> tf.Tensor:
    """An image `[height, width, channels]` in another size, float32, values 0 to 255.

    Args:
      image: uint8.
      size: height and width, int32 `[2]`.
      fit: `stretch` it; `crop` the largest part in the middle that has the right proportions; `pad` it with zeros; or
        one of the two usual ways of ImageNet, `resnet` (make the shorter side 8/7 of the size's, and cut out the
        middle) and `inception` (stretch the middle 7/8 of height and width).
      antialias: whether each pixel is a mean over all that it replaces, instead of the four that are nearest.
    """
    if fit == 'pad':
        return tf.image.resize_with_pad(image, size[0], size[1], antialias=antialias)
    if fit == 'resnet':
        return tf.image.resize_with_crop_or_pad(
            tf.image.resize(image, shorter_side(tf.shape(image), size), antialias=antialias), size[0], size[1]
        )
    if fit == 'inception':
        image = tf.image.central_crop(image, CENTRAL_SHARE)
    if fit == 'crop':
        shape = tf.shape(image)
        height = tf.minimum(shape[0], shape[1] * size[0] // size[1])
        width = tf.minimum(shape[1], shape[0] * size[1] // size[0])
        extent = tf.maximum(tf.stack([height, width]), 1)
        begin = (shape[:2] - extent) // 2
        image = image[begin[0] : begin[0] + extent[0], begin[1] : begin[1] + extent[1]]
    return tf.image.resize(image, size, antialias=antialias)


def shorter_side(shape: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Height and width of an image whose shorter side becomes 8/7 of what it must be: 256 for 224.

    The proportions are kept; fractions of a pixel are dropped, as in the original framework.

    Args:
      shape: of the image, int32: height, width and more.
      size: the height and width to be cut out, int32 `[2]`.

    Returns:
      int32 `[2]`.
    """
    extent, sides = tf.cast(shape[:2], tf.float64), tf.cast(size, tf.float64)
    scale = tf.reduce_max(tf.floor(sides / CENTRAL_SHARE) / extent)
    # Guards against 255.99999 after the division.
    return tf.cast(tf.floor(extent * scale + 1e-6), tf.int32)


def to_grey(image: tf.Tensor) -> tf.Tensor:
    """float32 `[height, width, 3]` -> `[height, width, 1]`; three equal channels keep their value."""
    return tf.tensordot(image, tf.constant(GREY), 1)[..., None]
