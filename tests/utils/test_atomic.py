from __future__ import annotations

import json

import pytest

from utils import atomic


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / 'file.txt'
    path.write_text('old')
    with pytest.raises(RuntimeError), atomic.replacing(path) as temporary:
        temporary.write_text('half')
        raise RuntimeError
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_folders_are_made_and_the_suffix_is_kept(tmp_path):
    path = tmp_path / 'a' / 'b.json'
    with atomic.replacing(path) as temporary:
        assert temporary.suffix == '.json'
        temporary.write_text('{}')
    atomic.write_json(path, {'x': 1})
    assert json.loads(path.read_text()) == {'x': 1}
    assert path.stat().st_mode & 0o777 == 0o644
