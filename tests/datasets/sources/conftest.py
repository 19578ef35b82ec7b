"""Small image files of every kind."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image


def colours(height: int = 8, width: int = 12, seed: int = 0) -> np.ndarray:
    """Random colours, uint8 `[height, width, 3]`."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def encoded(image: Image.Image, file_format: str, **options) -> bytes:
    """The bytes of a file, as Pillow writes it."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def write_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(pixels).numpy())


def write_numbered(folder: Path, counts: dict[str, int], size: int = 4) -> Path:
    """Grey images of one value each: all images of the tree have different ones, in the order of their names."""
    value = 0
    for name, count in counts.items():
        for number in range(count):
            write_png(folder / name / f'{number:03}.png', np.full((size, size, 1), value, np.uint8))
            value += 1
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder


def uploaded(folder: Path, address: str) -> str:
    """Copies a folder to an address of TensorFlow, for example in its memory, `ram://NAME`; returns the address."""
    for file in sorted(path for path in folder.rglob('*') if path.is_file()):
        target = f'{address}/{file.relative_to(folder)}'
        tf.io.gfile.makedirs(os.path.dirname(target))
        if tf.io.gfile.exists(target):
            tf.io.gfile.remove(target)  # in TensorFlow's memory, a file that is written again grows
        with tf.io.gfile.GFile(target, 'wb') as opened:
            opened.write(file.read_bytes())
    return address


def example(**features: bytes | int | float | list[int] | list[float]) -> bytes:
    """A serialized `tf.train.Example`; the type of a value decides that of its feature."""
    found = {}
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        kind = {bytes: 'bytes_list', int: 'int64_list', float: 'float_list'}[type(values[0])]
        lists = {'bytes_list': tf.train.BytesList, 'int64_list': tf.train.Int64List, 'float_list': tf.train.FloatList}
        found[name] = tf.train.Feature(**{kind: lists[kind](value=values)})
    return tf.train.Example(features=tf.train.Features(feature=found)).SerializeToString(deterministic=True)


def write_records(path: Path, records: list[bytes]) -> None:
    """A TFRecord file."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
