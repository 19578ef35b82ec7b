"""Random changes of image files, and of TFRecord files with images.

    python -m tests.datasets.sources.fuzz FOLDER --format=jpeg --first=0 --number=5000

reads that many changed copies of files that it makes, and prints what became of them; the test calls the same
functions.
"""

from __future__ import annotations

import functools
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from pocketflow.datasets.sources.decoding import Form, check, load
from pocketflow.datasets.sources.image_headers import BadImageError, read_header
from pocketflow.datasets.tfrecord_dataset import TfrecordDataset
from pocketflow.datasets.tfrecord_options import TfrecordOptions
from pocketflow.utils.errors import UsageError
from tests.datasets.sources.conftest import colours, encoded, example, write_records
from tests.utils.models.fuzz import changed_bytes, run_command

FORM = Form((6, 9))
PNG_BEGIN = 8
"""Bytes in front of the first chunk of a PNG file."""
NUM_RECORDS, TRIED_IN_FULL = 8, 4
"""Records per file; of so many changed files one is read through the whole pipeline."""


def photo() -> Image.Image:
    """Smooth colours, which a JPEG of a few hundred bytes can hold."""
    return Image.fromarray(colours(3, 4)).resize((24, 20), Image.Resampling.BILINEAR)


def jpegs() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        encoded(photo(), 'JPEG', quality=80),
        encoded(photo(), 'JPEG', progressive=True, exif=exif.tobytes()),
        encoded(photo().convert('L'), 'JPEG'),
        encoded(photo().convert('CMYK'), 'JPEG'),
    ]


def pngs() -> list[bytes]:
    alpha = photo().copy()
    alpha.putalpha(128)
    grey = Image.fromarray((np.arange(480).reshape(20, 24) * 100).astype(np.uint16))
    return [encoded(image, 'PNG') for image in (photo(), alpha, photo().convert('P'), grey, photo().convert('1'))]


def others() -> list[bytes]:
    return [encoded(photo(), kind) for kind in ('GIF', 'WEBP', 'BMP')]


def changed_png(content: bytes, rng: random.Random) -> bytes:
    """Changes bytes anywhere, or the data of one chunk, whose checksum is then made right again."""
    if rng.randrange(3) == 0:
        return changed_bytes(content, rng)
    chunks, place = [], PNG_BEGIN
    while place < len(content):
        (length,) = struct.unpack('>I', content[place : place + 4])
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    number = rng.randrange(len(chunks))
    kind, data = chunks[number]
    if kind == b'IDAT' and rng.randrange(2):
        data = zlib.compress(changed_bytes(zlib.decompress(data), rng))
    else:
        data = changed_bytes(data, rng)
    chunks[number : number + 1] = [(kind, data)] * rng.choice((0, 1, 1, 1, 1, 2))
    parts = [
        struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return content[:PNG_BEGIN] + b''.join(parts)


IMAGES: dict[str, tuple[Callable[[], list[bytes]], Callable[[bytes, random.Random], bytes]]] = {
    'jpeg': (jpegs, changed_bytes),
    'png': (pngs, changed_png),
    'other': (others, changed_bytes),
}
"""Sound files of each kind, and how they are changed."""
FORMATS = (*IMAGES, 'tfrecord')


@functools.cache
def loader(kind: int) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Decodes files of one kind, in a graph as while training: (content, orientation) -> pixels."""
    return tf.function(
        lambda content, orientation: load(content, tf.constant(kind), orientation, FORM, (kind,), any_turned=True)
    )


def image_outcome(target: Path, content: bytes) -> str:
    """'' if the bytes are an image that can be used, else the one line that says why not."""
    path = target / 'image'
    path.write_bytes(content)
    try:
        header = read_header(str(path))
        check(str(path), header)
    except BadImageError as error:
        return str(error)
    with tf.device('CPU'):
        pixels = loader(header.kind)(tf.constant(content), tf.constant(header.orientation))
    assert pixels.shape == (*FORM.size, 3) and bool(tf.reduce_all((pixels >= 0) & (pixels <= 255)))
    return ''


def records(rng: random.Random) -> list[bytes]:
    """Sound examples with encoded images, or with pixels."""
    if rng.randrange(2):
        images = [encoded(photo(), 'PNG' if number % 2 else 'JPEG') for number in range(NUM_RECORDS)]
        return [example(image=image, label=number % 2) for number, image in enumerate(images)]
    pixels = colours(4, 5)
    content = pixels.tobytes() if rng.randrange(2) else pixels.ravel().tolist()
    return [example(image=content, label=number % 2, height=4, width=5) for number in range(NUM_RECORDS)]


def record_outcome(target: Path, rng: random.Random) -> str:
    """'' if a changed TFRecord file can be trained on, else the one line that says why not."""
    path, sound = target / 'a.tfrecord', records(rng)
    if rng.randrange(2):  # the content of one record, with the right checksum
        number = rng.randrange(NUM_RECORDS)
        sound[number] = changed_bytes(sound[number], rng)
        write_records(path, sound)
    else:
        write_records(path, sound)
        path.write_bytes(changed_bytes(path.read_bytes(), rng))
    options = TfrecordOptions(
        data_dir_local=str(target), skip_bad=bool(rng.randrange(2)), augmentation='none', eval_share=0.3, batch_size=2
    )
    data = TfrecordDataset(options, 0, (6, 9, 3), num_outputs=2)
    try:
        for split in ('train', 'eval'):
            data.source(split)
    except UsageError as error:
        return str(error).replace(str(target), '')
    if rng.randrange(TRIED_IN_FULL) == 0:
        for images, labels in data.ordered_batches('train'):
            assert images.shape[1:] == (6, 9, 3) and set(labels.numpy()) <= {0, 1}
    return ''


def outcome(target: Path, kind: str, number: int) -> str:
    """Reads one changed file, the number says which: '' if it can be used, else the one line that says why not."""
    rng = random.Random(f'{kind}/{number}')
    if kind == 'tfrecord':
        line = record_outcome(target, rng)
    else:
        sound, change = IMAGES[kind]
        line = image_outcome(target, change(rng.choice(sound()), rng))
    assert '\n' not in line and len(line) < 700, (number, line)
    return line


def main() -> None:
    run_command(FORMATS, lambda folder, kind, number, target: outcome(target, kind, number))


if __name__ == '__main__':
    main()
