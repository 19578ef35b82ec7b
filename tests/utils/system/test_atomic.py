from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from pocketflow.utils.system import atomic


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


def test_content_and_name_are_synced_before_and_after_the_file_takes_its_place(tmp_path, monkeypatch):
    path, events = tmp_path / 'file.txt', []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor):
        events.append(Path(os.readlink(f'/proc/self/fd/{descriptor}')))
        fsync(descriptor)

    def watched_replace(one, other):
        events.append('replace')
        replace(one, other)

    monkeypatch.setattr(os, 'fsync', watched_fsync)
    monkeypatch.setattr(os, 'replace', watched_replace)
    atomic.write_text(path, 'new')
    (temporary, *then), name = events, path.read_text()
    assert temporary.name.startswith('.tmp-') and then == ['replace', tmp_path] and name == 'new'


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_failures_name_the_file_and_leave_the_old_one(tmp_path, monkeypatch, number):
    path = tmp_path / 'file.txt'
    path.write_text('old')

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    for target in ('os.fsync', 'os.replace'):
        with monkeypatch.context() as context, pytest.raises(OSError) as raised:
            context.setattr(target, fail)
            atomic.write_text(path, 'new')
        assert (raised.value.errno, raised.value.filename) == (number, str(path))
        assert path.read_text() == 'old' and list(tmp_path.iterdir()) == [path]


def test_file_systems_without_fsync_will_do(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, 'fsync', fail)
    atomic.write_text(tmp_path / 'file.txt', 'new')
    assert (tmp_path / 'file.txt').read_text() == 'new'


def test_a_directory_that_was_removed_is_not_made_anew(tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        atomic.write_text(tmp_path / 'run' / 'stage' / 'file.txt', 'new')
    assert raised.value.filename == str(tmp_path / 'run' / 'stage') and not list(tmp_path.iterdir())
