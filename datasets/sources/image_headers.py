"""Format, orientation and fingerprint of image files, read without decoding."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from typing import IO, NamedTuple

from PIL import Image, UnidentifiedImageError

from pocketflow.datasets.sources.storage import opened
from pocketflow.utils.errors import first_line

JPEG, PNG, PNG_WITH_ALPHA, OTHER = range(4)
"""Decoder of a file: TensorFlow (JPEG, PNG, PNG with transparency on white), or Pillow."""
FORMATS = {'JPEG': JPEG, 'MPO': JPEG, 'PNG': PNG, 'BMP': OTHER, 'DIB': OTHER, 'GIF': OTHER, 'WEBP': OTHER}
"""Pillow's names of the accepted formats; MPO is a JPEG with several pictures, as written by phones."""
ORIENTATION = 0x0112
"""EXIF tag of the orientation; 1 is upright."""
MAX_PIXELS = 2**27
"""Limit of the pixels of one image, against damaged and malicious files."""
EDGE_BYTES = 4096
"""Number of bytes at the start and at the end of a file that enter its digest."""


class Header(NamedTuple):
    """Header of an image file.

    Attributes:
      kind: how it is decoded.
      orientation: 1 to 8, as in EXIF, still to be applied to what TensorFlow decodes.
      digest: 64 bits that change with the file's size, begin or end.
    """

    kind: int
    orientation: int
    digest: int


class BadImageError(Exception):
    """The file is not a usable image; the message gives the reason."""


def read_header(path: str) -> Header:
    """Opens an image file without decoding it.

    Raises:
      BadImageError: it cannot be read, or is no image of an accepted format.
    """
    try:
        with opened(path) as file:
            return header_in(file)
    except OSError as error:
        raise BadImageError(error.strerror or first_line(error)) from error


def header_in(file: IO[bytes]) -> Header:
    """As `read_header`, of an opened file."""
    file.seek(0, os.SEEK_END)
    size = file.tell()
    file.seek(0)
    edges = file.read(EDGE_BYTES)
    file.seek(max(0, size - EDGE_BYTES))
    edges += file.read(EDGE_BYTES)
    file.seek(0)
    return _header(file, size, edges)


def header_of(content: bytes) -> Header:
    """As `read_header`, of the bytes of a file."""
    return _header(io.BytesIO(content), len(content), content[:EDGE_BYTES] + content[-EDGE_BYTES:])


def content_digest(content: bytes | memoryview) -> int:
    """64 bits that change with the number of bytes, their begin or their end."""
    return _digest(len(content), bytes(content[:EDGE_BYTES]) + bytes(content[-EDGE_BYTES:]))


def _digest(size: int, edges: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(b'%d ' % size + edges, digest_size=8).digest(), 'big')


def _header(file: IO[bytes], size: int, edges: bytes) -> Header:
    if not size:
        raise BadImageError('empty file')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # about large images and unusual metadata
            with Image.open(file) as image:
                kind, orientation = _kind(image), _orientation(image)
    except UnidentifiedImageError:
        raise BadImageError('no image of a known format') from None
    except OSError as error:
        raise BadImageError(error.strerror or first_line(error)) from error
    except BadImageError:
        raise
    except Exception as error:  # Pillow raises exceptions of many types for damaged files
        raise BadImageError(f'damaged header ({type(error).__name__}: {first_line(error)})') from error
    return Header(kind, orientation, _digest(size, edges))


def _kind(image: Image.Image) -> int:
    if image.format not in FORMATS:
        raise BadImageError(f'a {image.format} file; accepted are JPEG, PNG, BMP, GIF and WebP')
    if image.width * image.height > MAX_PIXELS:
        raise BadImageError(f'{image.width} x {image.height} pixels; at most {MAX_PIXELS:,} are accepted')
    kind = FORMATS[image.format]
    return PNG_WITH_ALPHA if kind == PNG and has_alpha(image) else kind


def _orientation(image: Image.Image) -> int:
    """EXIF orientation of a JPEG or PNG; 1 for formats that Pillow decodes and rotates itself."""
    kind = FORMATS[image.format or '']
    # EXIF data after the pixels of a PNG are ignored: reading them would decode the image.
    if kind == OTHER or not (image.info.get('exif') or kind == JPEG):
        return 1
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # an image with damaged EXIF data is still usable
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def has_alpha(image: Image.Image) -> bool:
    """Whether an image has transparency."""
    return image.mode in ('RGBA', 'LA', 'PA', 'RGBa', 'La') or 'transparency' in image.info
