"""Files on a disk and at addresses of TensorFlow, whose memory (`ram://`) stands for the storage of a cloud."""

from __future__ import annotations

import pytest
import tensorflow as tf

from pocketflow.datasets.sources.storage import (
    Entry,
    entries,
    identity,
    is_address,
    is_folder_at,
    num_bytes,
    opened,
    refuse_unreadable_address,
)
from pocketflow.utils.errors import UsageError
from tests.datasets.sources.conftest import uploaded


@pytest.fixture
def both(tmp_path):
    """The same folder on the disk and in TensorFlow's memory."""
    for name in ('b/1.png', 'b/2.png', 'a.txt'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return str(tmp_path), uploaded(tmp_path, 'ram://storage/here')


@pytest.mark.parametrize('place', [0, 1])
def test_folders_and_files(both, place):
    folder = both[place]
    assert entries(folder) == [Entry('a.txt', False, True), Entry('b', True, False)]
    assert [entry.name for entry in entries(f'{folder}/b')] == ['1.png', '2.png']
    assert is_folder_at(f'{folder}/b') and not is_folder_at(f'{folder}/a.txt') and not is_folder_at(f'{folder}/none')
    assert num_bytes(f'{folder}/b/1.png') == 7 and (identity(folder) is None) == (place == 1)
    with opened(f'{folder}/b/1.png') as file:
        assert file.seek(0, 2) == file.tell() == 7
        assert file.seek(9) == 9 and file.read() == b''
        assert file.seek(2) == 2 and (file.read(2), file.read()) == (b'1.', b'png')
        with pytest.raises((OSError, ValueError)):
            file.seek(-1)


@pytest.mark.parametrize('place', [0, 1])
def test_what_is_not_there_has_one_kind_of_error(both, place):
    with pytest.raises(OSError) as listed:
        entries(f'{both[place]}/none')
    with pytest.raises(OSError) as read, opened(f'{both[place]}/none') as file:
        file.read()
    with pytest.raises(OSError) as sized:
        num_bytes(f'{both[place]}/none')
    for error in (listed, read, sized):
        assert error.value.errno == 2 and error.value.strerror


def test_names_may_say_what_is_a_file_without_a_request(both, monkeypatch):
    asked = []
    monkeypatch.setattr(tf.io.gfile, 'isdir', lambda path: asked.append(path) or path.endswith('/b'))
    found = entries(both[1], lambda name: name.endswith('.txt'))
    assert asked == [f'{both[1]}/b'] and found == entries(both[0])
    monkeypatch.setattr(tf.io.gfile, 'listdir', lambda path: ['b/', 'a.txt'])  # as that of a cloud marks folders
    assert entries(both[1], lambda name: name.endswith('.txt')) == found and len(asked) == 1


@pytest.mark.parametrize(
    ('path', 'expected'),
    [('gs://bucket/x', True), ('hdfs://name:9/x', True), ('/a/b:/c', False), ('a b://c', False), (None, False)],
)
def test_what_is_an_address(path, expected):
    assert is_address(path) == expected


def test_addresses_that_cannot_be_read_take_one_line(both):
    for path in (None, '/not/there', both[0], both[1]):
        refuse_unreadable_address(path)
    with pytest.raises(UsageError, match='nosuch://b/x: TensorFlow has no file system here for addresses with nosuch'):
        refuse_unreadable_address('nosuch://b/x')
    with pytest.raises(UsageError, match=r'ram://none/x: cannot be read \(.*\); check the address') as error:
        refuse_unreadable_address('ram://none/x')
    assert '\n' not in str(error.value)
