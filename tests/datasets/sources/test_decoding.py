"""Each kind of file against Pillow, or by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from pocketflow.datasets.sources.decoding import Form, check, load, on_white, resize, to_grey, upright
from pocketflow.datasets.sources.image_headers import BadImageError, read_header
from tests.datasets.sources.conftest import colours, encoded

PIXELS = colours()
IMAGE = Image.fromarray(PIXELS)
PALETTE = IMAGE.quantize(16)
ALPHA = Image.fromarray(np.dstack([PIXELS, colours(seed=1)[..., :1]]))


@pytest.fixture(scope='module')
def loaded():
    """`loaded(path)`: what is made of a file of 8 x 12 pixels without resizing."""

    @tf.function(reduce_retracing=True)
    def traced(content, kind, orientation):
        return load(content, kind, orientation, Form((8, 12)), range(4), any_turned=True)

    def of_file(path):
        header = read_header(str(path))
        check(str(path), header)
        return traced(tf.constant(path.read_bytes()), tf.constant(header.kind), tf.constant(header.orientation)).numpy()

    return of_file


def white_behind(image: Image.Image) -> np.ndarray:
    """The image laid on white, exactly."""
    rgba = np.asarray(image.convert('RGBA')).astype(float)
    return rgba[..., :3] * rgba[..., 3:] / 255 + 255 - rgba[..., 3:]


LOSSLESS = {
    'png': (encoded(IMAGE, 'PNG'), PIXELS),
    'png under another name': (encoded(IMAGE, 'PNG'), PIXELS),
    'grey png': (encoded(IMAGE.convert('L'), 'PNG'), np.asarray(IMAGE.convert('L').convert('RGB'))),
    'black and white png': (encoded(IMAGE.convert('1'), 'PNG'), np.asarray(IMAGE.convert('1').convert('RGB'))),
    'palette png': (encoded(PALETTE, 'PNG'), np.asarray(PALETTE.convert('RGB'))),
    'bmp': (encoded(IMAGE, 'BMP'), PIXELS),
    'palette bmp': (encoded(PALETTE, 'BMP'), np.asarray(PALETTE.convert('RGB'))),
    'webp': (encoded(IMAGE, 'WEBP', lossless=True), PIXELS),
    'gif': (encoded(PALETTE, 'GIF'), np.asarray(PALETTE.convert('RGB'))),
    'gif of two frames': (
        encoded(PALETTE, 'GIF', save_all=True, append_images=[Image.fromarray(255 - PIXELS).quantize(16)]),
        np.asarray(PALETTE.convert('RGB')),
    ),
    'transparent png': (encoded(ALPHA, 'PNG'), white_behind(ALPHA)),
    'transparent grey png': (encoded(ALPHA.convert('LA'), 'PNG'), white_behind(ALPHA.convert('LA'))),
    'transparent webp': (encoded(ALPHA, 'WEBP', lossless=True, exact=True), white_behind(ALPHA)),
    'png of 16 bits': (tf.io.encode_png(PIXELS.astype(np.uint16) * 256 + 255).numpy(), PIXELS),
    'grey png of 16 bits': (
        tf.io.encode_png(PIXELS[..., :1].astype(np.uint16) * 256 + 7).numpy(),
        PIXELS[..., :1].repeat(3, 2),
    ),
}


@pytest.mark.parametrize('name', list(LOSSLESS))
def test_files_without_loss(name, loaded, tmp_path):
    content, expected = LOSSLESS[name]
    path = tmp_path / 'image.jpg'  # the content decides
    path.write_bytes(content)
    np.testing.assert_allclose(loaded(path), expected, atol=0.51)


def test_a_palette_with_a_transparent_colour(loaded, tmp_path):
    path = tmp_path / 'image.png'
    path.write_bytes(encoded(PALETTE, 'PNG', transparency=3))
    hidden = np.asarray(PALETTE) == 3
    np.testing.assert_array_equal(loaded(path)[hidden], 255)
    np.testing.assert_array_equal(loaded(path)[~hidden], np.asarray(PALETTE.convert('RGB'))[~hidden])


@pytest.mark.parametrize('mode', ['RGB', 'L', 'CMYK'])
def test_jpeg(mode, loaded, tmp_path):
    path = tmp_path / 'image.jpg'
    smooth = Image.fromarray(np.add.outer(np.arange(8) * 10, np.arange(12) * 5).astype(np.uint8)).convert('RGB')
    path.write_bytes(encoded(smooth.convert(mode), 'JPEG', quality=100))
    np.testing.assert_allclose(loaded(path), np.asarray(smooth), atol=8)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientations(orientation, loaded, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(colours(*((8, 12) if orientation <= 4 else (12, 8))))
    path = tmp_path / 'image.png'
    path.write_bytes(encoded(stored, 'PNG', exif=exif))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    np.testing.assert_array_equal(loaded(path), expected)
    np.testing.assert_array_equal(upright(tf.constant(np.asarray(stored)), tf.constant(orientation)), expected)
    path.write_bytes(encoded(stored, 'JPEG', exif=exif))
    assert read_header(str(path)).orientation == orientation


def test_half_transparent_is_half_white():
    np.testing.assert_array_equal(on_white(tf.constant([[[0, 100, 200, 0], [0, 100, 255, 128]]], tf.uint8))[0, 0], 255)
    np.testing.assert_array_equal(on_white(tf.constant([[[0, 100, 255, 128]]], tf.uint8))[0, 0], [127, 177, 255])


def test_fits_by_hand():
    image = tf.constant(np.arange(8, dtype=np.uint8).reshape(2, 4, 1))
    np.testing.assert_allclose(resize(image, [1, 2], 'stretch', True)[..., 0], [[2.5, 4.5]], atol=0.6)
    np.testing.assert_array_equal(resize(image, [2, 2], 'crop', False)[..., 0], [[1, 2], [5, 6]])
    np.testing.assert_array_equal(resize(image, [4, 4], 'pad', False)[..., 0], np.pad(image[..., 0], ((1, 1), (0, 0))))
    np.testing.assert_array_equal(resize(image, [2, 4], 'stretch', False)[..., 0], image[..., 0])
    assert float(resize(tf.constant([[[0], [9], [0], [0]]], tf.uint8), [1, 1], 'stretch', False)[0, 0, 0]) == 4.5


def test_grey_keeps_equal_channels():
    np.testing.assert_allclose(
        to_grey(tf.constant([[[7.0, 7.0, 7.0], [100.0, 0.0, 0.0]]]))[0, :, 0], [7, 29.9], rtol=1e-6
    )


WHOLE = {'jpeg': encoded(IMAGE, 'JPEG'), 'png': encoded(IMAGE, 'PNG'), 'webp': encoded(IMAGE, 'WEBP', lossless=True)}
BROKEN = {
    'empty': (b'', 'empty file'),
    'text': (b'not an image', 'no image of a known format'),
    'tiff': (encoded(IMAGE, 'TIFF'), 'a TIFF file; accepted are JPEG, PNG, BMP, GIF and WebP'),
    'jpeg cut off': (WHOLE['jpeg'][:-40], 'cannot be decoded: damaged, or cut off'),
    'png cut off': (WHOLE['png'][:200], 'cannot be decoded'),
    'webp cut off': (WHOLE['webp'][:100], 'decoder'),
    'png with a wrong checksum': (WHOLE['png'][:60] + b'x' + WHOLE['png'][61:], 'cannot be decoded'),
}


@pytest.mark.parametrize('name', list(BROKEN))
def test_broken_files(name, tmp_path):
    content, message = BROKEN[name]
    path = tmp_path / 'image.png'
    path.write_bytes(content)
    with pytest.raises(BadImageError, match=message):
        check(str(path), read_header(str(path)))
