"""What image files say of themselves: format, orientation, whether they are whole."""

from __future__ import annotations

import hashlib
import os
import warnings
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from pocketflow.utils.errors import first_line

JPEG, PNG, PNG_WITH_ALPHA, OTHER = range(4)
"""How a file is decoded: by TensorFlow, by TensorFlow with what is transparent on white, by Pillow."""
FORMATS = {'JPEG': JPEG, 'MPO': JPEG, 'PNG': PNG, 'BMP': OTHER, 'DIB': OTHER, 'GIF': OTHER, 'WEBP': OTHER}
"""Pillow's names of the accepted formats; MPO is a JPEG with further pictures behind the first, as phones write it."""
ORIENTATION = 0x0112
"""EXIF tag: how the picture is to be turned; 1 is upright."""
MAX_PIXELS = 2**27
"""Of one image; more is taken for damage, or an attack."""
EDGE_BYTES = 4096
"""Of a file's begin and end, which tell it from others."""


class Header(NamedTuple):
    """What is known of an image file.

    Attributes:
      kind: how it is decoded.
      orientation: 1 to 8, as in EXIF, still to be applied to what TensorFlow decodes.
      digest: 64 bits that change with the file's size, begin or end.
    """

    kind: int
    orientation: int
    digest: int


class BadImageError(Exception):
    """A file that is no image which can be used; the text says why."""


def read_header(path: str) -> Header:
    """Opens an image file without decoding it.

    Raises:
      BadImageError: it cannot be read, or is no image of an accepted format.
    """
    try:
        with open(path, 'rb') as file, warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of many pixels, odd metadata
            size = os.fstat(file.fileno()).st_size
            edges = file.read(EDGE_BYTES)
            file.seek(max(0, size - EDGE_BYTES))
            edges += file.read(EDGE_BYTES)
            if not size:
                raise BadImageError('empty file')
            file.seek(0)
            with Image.open(file) as image:
                kind, orientation = _kind(image), _orientation(image)
    except UnidentifiedImageError:
        raise BadImageError('no image of a known format') from None
    except OSError as error:
        raise BadImageError(error.strerror or first_line(error)) from error
    except BadImageError:
        raise
    except Exception as error:  # whatever Pillow makes of damage
        raise BadImageError(f'damaged header ({type(error).__name__}: {first_line(error)})') from error
    digest = hashlib.blake2b(b'%d ' % size + edges, digest_size=8).digest()
    return Header(kind, orientation, int.from_bytes(digest, 'big'))


def _kind(image: Image.Image) -> int:
    if image.format not in FORMATS:
        raise BadImageError(f'a {image.format} file; accepted are JPEG, PNG, BMP, GIF and WebP')
    if image.width * image.height > MAX_PIXELS:
        raise BadImageError(f'{image.width} x {image.height} pixels; at most {MAX_PIXELS:,} are accepted')
    kind = FORMATS[image.format]
    return PNG_WITH_ALPHA if kind == PNG and has_alpha(image) else kind


def _orientation(image: Image.Image) -> int:
    """What a JPEG or PNG says; Pillow itself turns what it decodes."""
    kind = FORMATS[image.format or '']
    # A PNG whose EXIF data come behind the pixels would be decoded for them.
    if kind == OTHER or not (image.info.get('exif') or kind == JPEG):
        return 1
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF data are no reason to drop the picture
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def has_alpha(image: Image.Image) -> bool:
    """Whether parts of it may be transparent."""
    return image.mode in ('RGBA', 'LA', 'PA', 'RGBa', 'La') or 'transparency' in image.info
