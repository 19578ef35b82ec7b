from __future__ import annotations

import pytest

from datasets.files import list_files, read_bytes
from utils.errors import UsageError


def test_lists_in_order_and_reads(tmp_path):
    for name in ('b.bin', 'a.bin', 'c.txt'):
        (tmp_path / name).write_bytes(name.encode())
    paths = list_files(str(tmp_path), '*.bin', 'two files')
    assert [read_bytes(path) for path in paths] == [b'a.bin', b'b.bin']


def test_nothing_found(tmp_path):
    with pytest.raises(UsageError, match=r'no \*.gz in .*; expected there: gzip files'):
        list_files(str(tmp_path), '*.gz', 'gzip files')


def test_addresses_that_need_another_library():
    with pytest.raises(UsageError, match='hdfs://host/x: this TensorFlow cannot read such addresses'):
        list_files('hdfs://host/x', '*', 'anything')
