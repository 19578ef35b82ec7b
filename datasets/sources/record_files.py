"""The records of a TFRecord file, with their checksums, by TensorFlow's reader.

A file is a sequence of records: length (uint64, little-endian), masked CRC-32C of the length, data, masked CRC-32C of
the data (`tensorflow/core/lib/io/record_writer.h`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf
from tensorflow.python.lib.io.tf_record import tf_record_random_reader

from pocketflow.datasets.sources.image_folders import shown
from pocketflow.utils.errors import UsageError, first_line

LENGTH_BYTES, CRC_BYTES = 8, 4
POLYNOMIAL = 0x82F63B78
"""Of Castagnoli's CRC-32C, bits reversed (RFC 3720, appendix B.4)."""
MASK_DELTA = 0xA282EAD8
COMPRESSED = {b'\x1f\x8b': 'GZIP', b'\x78\x01': 'ZLIB', b'\x78\x5e': 'ZLIB', b'\x78\x9c': 'ZLIB', b'\x78\xda': 'ZLIB'}
"""What compressed files begin with."""


class Record(NamedTuple):
    """A record, or where one is damaged.

    Attributes:
      offset: of its first byte in the file.
      content: its data; None if it is damaged.
      reason: why, if it is.
    """

    offset: int
    content: bytes | None
    reason: str = ''


@functools.cache
def _table() -> list[int]:
    """CRC-32C of each byte."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ POLYNOMIAL * (value & 1)
        table.append(value)
    return table


def masked_crc(data: bytes) -> int:
    """CRC-32C of a few bytes, masked as in TFRecord files: rotated right by 15 bits, plus a constant.

    >>> hex(masked_crc(b'123456789'))  # of 0xe3069283
    '0xc78ab0a5'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _table()[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


def read_records(path: str) -> Iterator[Record]:
    """The records of a file in order, each with its checksums compared.

    After a record whose data are damaged the next one follows; if its length is damaged, the rest of the file is lost.

    Raises:
      UsageError: the file cannot be read, or is compressed.
    """
    try:
        size, offset = tf.io.gfile.stat(path).length, 0
        if not size:
            return
        refuse_compressed(path)
        reader = tf_record_random_reader(path)
        while offset < size:
            try:
                content, end = reader.read(offset)
            except (tf.errors.DataLossError, tf.errors.OutOfRangeError, IndexError):
                length = stored_length(path, offset)
                end = size if length is None else offset + LENGTH_BYTES + CRC_BYTES + length + CRC_BYTES
                if length is None:
                    reason = f'its length is damaged, so the rest of the file, {size - offset} bytes, cannot be read'
                else:
                    reason = 'cut off' if end > size else 'its checksum is that of other data'
                yield Record(offset, None, reason)
            else:
                yield Record(offset, content)
            offset = end
    except (tf.errors.OpError, OSError) as error:
        raise UsageError(f'{shown(path)}: cannot be read ({first_line(error)})') from error


def stored_length(path: str, offset: int) -> int | None:
    """Number of bytes of the record at an offset; None if its checksum says that this number is damaged."""
    header = read_part(path, offset, LENGTH_BYTES + CRC_BYTES)
    length, crc = header[:LENGTH_BYTES], header[LENGTH_BYTES:]
    if len(crc) < CRC_BYTES or masked_crc(length) != int.from_bytes(crc, 'little'):
        return None
    return int.from_bytes(length, 'little')


def refuse_compressed(path: str) -> None:
    """Raises a `UsageError` if a file is compressed: its records cannot be read in any order."""
    begin = read_part(path, 0, 2)
    if begin in COMPRESSED and stored_length(path, 0) is None:
        raise UsageError(
            f'{shown(path)}: is compressed ({COMPRESSED[begin]}), so its records cannot be read in any order; write it '
            'without compression, or unpack it (gunzip)'
        )


def read_part(path: str, offset: int, length: int) -> bytes:
    """Some bytes of a file; fewer at its end."""
    with tf.io.gfile.GFile(path, 'rb') as file:
        file.seek(offset)
        content: bytes = file.read(length)
    return content


def read_content(path: str, offsets: list[int]) -> list[bytes]:
    """The data of the records at these offsets of a file.

    Raises:
      tf.errors.OpError, IndexError: one is damaged.
    """
    reader = tf_record_random_reader(path)
    return [reader.read(offset)[0] for offset in offsets]
