from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.system.paths import path_error_message, path_errors_reported, refuse_unusable_text, shown


@pytest.mark.parametrize(
    ('number', 'text'),
    [
        (errno.EACCES, '/a/b: permission denied; give a path that this user may use'),
        (errno.ENAMETOOLONG, '/a/b: the name is too long: file systems take 255 bytes per name'),
        (errno.ELOOP, '/a/b: symbolic links lead in a circle'),
        (errno.ENOTDIR, '/a/b: part of the path is a file'),
        (errno.EISDIR, '/a/b: is a folder where a file is needed'),
    ],
)
def test_a_wrong_path_takes_one_line(number: int, text: str):
    with pytest.raises(UsageError) as raised, path_errors_reported():
        raise OSError(number, os.strerror(number), '/a/b')
    assert str(raised.value).startswith(text) and '\n' not in str(raised.value)


@pytest.mark.parametrize(
    'error',
    [
        OSError(errno.ENOSPC, 'No space left', '/a'),
        OSError(errno.EACCES, 'without a name'),
        OSError('none at all'),
        FileNotFoundError(errno.ENOENT, 'No such file', '/a'),
        BrokenPipeError(errno.EPIPE, 'Broken pipe'),
    ],
)
def test_other_errors_pass(error: OSError):
    assert path_error_message(error) is None
    with pytest.raises(type(error)) as raised, path_errors_reported():
        raise error
    assert raised.value is error


def test_a_circle_of_links_takes_one_line(tmp_path: Path):
    (tmp_path / 'a').symlink_to(tmp_path / 'b')
    (tmp_path / 'b').symlink_to(tmp_path / 'a')
    with pytest.raises(UsageError, match='give a path that ends at a file or folder'), path_errors_reported():
        (tmp_path / 'a').resolve()
        (tmp_path / 'a').stat()  # resolve() is content from Python 3.13 on
    with pytest.raises(RuntimeError, match='of another kind'), path_errors_reported():
        raise RuntimeError('of another kind')


def test_what_is_shown_fits_on_a_line():
    assert shown('a/ö b') == 'a/ö b'
    assert shown('a\nb\0\x1b\udcff') == 'a\\nb\\x00\\x1b\\udcff'
    assert shown(b'a\xff') == 'a\\udcff' and shown(3) == '3'
    assert len(shown('x' * 5000)) == 203


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('a\0b', r'^--run_dir=a\\x00b: holds a NUL character'),
        ('a\udcff', r'^--run_dir=a\\udcff: is no UTF-8 text; rename'),
    ],
)
def test_text_that_cannot_be_kept_is_refused(text: str, reason: str):
    refuse_unusable_text('--run_dir', 'ä€ 😀\n')
    with pytest.raises(UsageError, match=reason):
        refuse_unusable_text('--run_dir', text)
