from __future__ import annotations

import gzip
import importlib
import types

import pytest
import tensorflow as tf

from pocketflow.datasets import files
from pocketflow.datasets.files import gunzip, keras_download, list_files, read_bytes
from pocketflow.utils.errors import UsageError


def test_lists_in_order_and_reads(tmp_path):
    for name in ('b.bin', 'a.bin', 'c.txt'):
        (tmp_path / name).write_bytes(name.encode())
    paths = list_files(str(tmp_path), '*.bin', 'two files')
    assert [read_bytes(path) for path in paths] == [b'a.bin', b'b.bin']


@pytest.mark.parametrize('name', ['run[1]', '[', 'a*b?', 'back\\slash', 'brace{1}'])
def test_a_folder_may_have_the_characters_of_patterns_in_its_name(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    (folder / 'data_1.bin').write_bytes(b'1')
    assert list_files(f'{folder}/', 'data_*.bin', 'one file') == [f'{folder}/data_1.bin']


def test_nothing_found(tmp_path):
    with pytest.raises(UsageError, match=r'no \*.gz in .*; expected there: gzip files'):
        list_files(str(tmp_path), '*.gz', 'gzip files')


def test_addresses_that_need_another_library():
    with pytest.raises(UsageError, match='nosuch://host/x: TensorFlow has no file system here for addresses with nosu'):
        list_files('nosuch://host/x', '*', 'anything')


def test_what_cannot_be_read_is_named_with_the_reason(tmp_path, monkeypatch):
    (tmp_path / 'a.bin').mkdir()
    with pytest.raises(UsageError, match=r'/a.bin: cannot be read \(.*Is a directory\)'):
        read_bytes(str(tmp_path / 'a.bin'))
    with pytest.raises(UsageError, match=r'/b.bin: cannot be read \(.*No such file'):
        read_bytes(str(tmp_path / 'b.bin'))

    def refuse(pattern):
        raise tf.errors.PermissionDeniedError(None, None, f'{tmp_path}; Permission denied')

    monkeypatch.setattr(tf.io.gfile, 'listdir', refuse)
    with pytest.raises(UsageError, match=r'cannot be listed \(.*Permission denied\)'):
        list_files(str(tmp_path), '*', 'anything')


def test_a_failed_download_may_say_nothing(monkeypatch):
    def refuse():
        raise OSError

    monkeypatch.setattr(importlib, 'import_module', lambda name: types.SimpleNamespace(load_data=refuse))
    with pytest.raises(UsageError, match=r'the download failed \(OSError\); put X into a folder'):
        keras_download('any', 'X')


def test_gzip_files_unpack_to_so_much(monkeypatch):
    monkeypatch.setattr(files, 'MAX_UNPACKED', 1000)
    packed = gzip.compress(bytes(1000))
    assert gunzip(packed, 'a.gz') == bytes(1000)
    for bomb in (gzip.compress(bytes(10**6)), packed + packed):
        with pytest.raises(UsageError, match='a.gz: unpacks to more than 1000 bytes; expected the original file'):
            gunzip(bomb, 'a.gz')
