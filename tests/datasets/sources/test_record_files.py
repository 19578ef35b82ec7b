"""TFRecord files, whole, damaged and compressed."""

from __future__ import annotations

import gzip
import struct
import zlib

import pytest
import tensorflow as tf

from pocketflow.datasets.sources.record_files import masked_crc, read_content, read_records, stored_length
from pocketflow.utils.errors import UsageError
from tests.datasets.sources.conftest import write_records

RECORDS = [b'first', b'', b'x' * 1000, b'last']
OFFSETS = [0, 5 + 16, 5 + 2 * 16, 1005 + 3 * 16]


@pytest.fixture
def path(tmp_path):
    write_records(tmp_path / 'a.tfrecord', RECORDS)
    return tmp_path / 'a.tfrecord'


def changed(path, offset: int, value: bytes) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:offset] + value + content[offset + len(value) :])


def test_the_checksum_is_that_of_tensorflow(path):
    length, crc = struct.unpack('<Q', path.read_bytes()[:8])[0], struct.unpack('<I', path.read_bytes()[8:12])[0]
    assert (length, crc) == (5, masked_crc(struct.pack('<Q', 5)))
    assert stored_length(str(path), OFFSETS[2]) == 1000 and stored_length(str(path), 3) is None


def test_records_and_their_offsets(path):
    assert [(record.offset, record.content) for record in read_records(str(path))] == list(
        zip(OFFSETS, RECORDS, strict=True)
    )
    assert read_content(str(path), OFFSETS[::-1]) == RECORDS[::-1]


def test_a_damaged_record_is_named_and_the_next_one_follows(path):
    changed(path, OFFSETS[2] + 500, b'y')
    found = list(read_records(str(path)))
    assert [record.content for record in found] == [b'first', b'', None, b'last']
    assert found[2].reason == 'its checksum is that of other data'
    with pytest.raises(tf.errors.DataLossError):
        read_content(str(path), [OFFSETS[2]])


def test_behind_a_damaged_length_nothing_can_be_read(path):
    changed(path, OFFSETS[2], b'\0')
    found = list(read_records(str(path)))
    assert [record.content for record in found] == [b'first', b'', None]
    size = path.stat().st_size
    assert (
        found[2].reason == f'its length is damaged, so the rest of the file, {size - OFFSETS[2]} bytes, cannot be read'
    )


@pytest.mark.parametrize(
    ('end', 'reason'), [(-3, 'cut off'), (-14, 'its length is damaged, so the rest of the file, 6 ')]
)
def test_a_file_that_is_cut_off(path, end, reason):
    path.write_bytes(path.read_bytes()[:end])
    *whole, last = read_records(str(path))
    assert [record.content for record in whole] == RECORDS[:-1] and last.content is None
    assert last.reason.startswith(reason)


@pytest.mark.parametrize(('pack', 'kind'), [(gzip.compress, 'GZIP'), (zlib.compress, 'ZLIB')])
def test_compressed_files_are_refused(path, pack, kind):
    path.write_bytes(pack(path.read_bytes()))
    with pytest.raises(
        UsageError, match=rf'a.tfrecord: is compressed \({kind}\), so its records cannot be read in any'
    ):
        list(read_records(str(path)))


def test_what_looks_like_compressed_but_is_a_record(path):
    write_records(path, [b'x' * 0x8B1F])  # its length begins with the bytes of GZIP
    assert path.read_bytes()[:2] == b'\x1f\x8b' and len(list(read_records(str(path)))) == 1


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / 'empty').touch()
    assert not list(read_records(str(tmp_path / 'empty')))
    with pytest.raises(UsageError, match='none: cannot be read'):
        list(read_records(str(tmp_path / 'none')))
