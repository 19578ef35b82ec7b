"""Which checkpoints are in a folder, in which order, and which of them stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import tensorflow as tf

from pocketflow.utils.training import checkpoint_files


def write(folder: Path, step: int, samples_per_step: int | None = 8) -> Path:
    """A checkpoint of one number; returns its prefix."""
    parts = {} if samples_per_step is None else {'samples_per_step': tf.Variable(samples_per_step, dtype=tf.int64)}
    with checkpoint_files.writing(folder, step) as prefix:
        tf.train.Checkpoint(value=tf.Variable(float(step)), **parts).write(str(prefix))
    return folder / prefix.name


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def set_time(prefix: Path, seconds: float) -> None:
    for file in checkpoint_files.files_of(prefix):
        os.utime(file, (seconds, seconds))


def test_the_newest_is_that_of_the_most_samples_whatever_the_times_say(tmp_path):
    for step, seconds in ((900, 3e9), (1000, 1e9), (20, 2e9), (3, 4e9)):
        set_time(write(tmp_path, step), seconds)
    assert [prefix.name for prefix in checkpoint_files.newest_first(tmp_path)] == [
        'ckpt-1000',
        'ckpt-900',
        'ckpt-20',
        'ckpt-3',
    ]
    write(tmp_path, 600, samples_per_step=16)  # by twice as many workers, after step 1000 of half of them
    write(tmp_path, 501, samples_per_step=None)  # says nothing
    assert [prefix.name for prefix in checkpoint_files.newest_first(tmp_path, 16)][:3] == [
        'ckpt-600',
        'ckpt-501',
        'ckpt-1000',
    ]


def test_a_damaged_one_is_ordered_by_its_step(tmp_path):
    for step in (1, 2, 3):
        write(tmp_path, step)
    (tmp_path / 'ckpt-2.index').write_bytes(b'nonsense')
    assert [prefix.name for prefix in checkpoint_files.newest_first(tmp_path, 8)] == ['ckpt-3', 'ckpt-2', 'ckpt-1']


def test_other_names_and_folders_are_no_checkpoints(tmp_path):
    write(tmp_path, 5)
    for name in ('ckpt-7.index', 'ckpt-8.data-00000-of-00001', 'ckpt-6'):
        (tmp_path / name).mkdir()
    for name in ('ckpt-9.txt', 'ckpt-x.index', 'ckpt-.index', 'checkpoint', 'ckpt-5.index.bak', f'ckpt-{10**30}.index'):
        (tmp_path / name).write_text('x')
    assert checkpoint_files.newest_first(tmp_path) == [tmp_path / 'ckpt-5']
    before = names(tmp_path)
    checkpoint_files.remove_outdated(tmp_path, write(tmp_path, 6), 8)
    assert names(tmp_path) == before | {'ckpt-6.index', 'ckpt-6.data-00000-of-00001'}
    assert checkpoint_files.newest_first(tmp_path / 'missing') == []


@pytest.mark.parametrize('seconds', [1e9, 4e9])
def test_what_was_just_written_stays_with_the_one_before(tmp_path, seconds):
    for step in (100, 200, 300):
        set_time(written := write(tmp_path, step), seconds if step == 300 else 2e9)
        checkpoint_files.remove_outdated(tmp_path, written, 8)
    assert [prefix.name for prefix in checkpoint_files.newest_first(tmp_path)] == ['ckpt-300', 'ckpt-200']


def test_later_ones_that_were_passed_over_do_not_displace_good_ones(tmp_path):
    for step in (100, 200, 300, 400):
        write(tmp_path, step)
    for step in (300, 400):
        (tmp_path / f'ckpt-{step}.data-00000-of-00001').write_bytes(b'nonsense')
    checkpoint_files.remove_outdated(tmp_path, write(tmp_path, 250), 8)
    assert [prefix.name for prefix in checkpoint_files.newest_first(tmp_path)] == ['ckpt-250', 'ckpt-200']


def test_checkpoints_of_fewer_workers_are_older_though_their_steps_are_more(tmp_path):
    for step in (900, 1000):
        write(tmp_path, step, 8)
    checkpoint_files.remove_outdated(tmp_path, write(tmp_path, 550, 16), 16)
    assert [prefix.name for prefix in checkpoint_files.newest_first(tmp_path, 16)] == ['ckpt-550', 'ckpt-1000']


def test_a_write_that_fails_leaves_all_as_it_was(tmp_path):
    write(tmp_path, 1)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RuntimeError), checkpoint_files.writing(tmp_path, 1) as prefix:
        Path(f'{prefix}.data-00000-of-00001').write_text('half')
        raise RuntimeError
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_files_are_on_the_disk_before_the_index_gets_its_name(tmp_path, monkeypatch):
    events, fsync, replace = [], os.fsync, Path.replace

    def watched_fsync(descriptor):
        events.append(('sync', Path(os.readlink(f'/proc/self/fd/{descriptor}')).suffix))
        fsync(descriptor)

    def watched_replace(path, target):
        events.append(('replace', Path(target).suffix))
        return replace(path, target)

    monkeypatch.setattr(os, 'fsync', watched_fsync)
    monkeypatch.setattr(Path, 'replace', watched_replace)
    write(tmp_path, 1)
    data = '.data-00000-of-00001'
    assert events == [('sync', data), ('replace', data), ('sync', '.index'), ('replace', '.index'), ('sync', '')]


def test_a_folder_that_is_gone_is_not_made_anew(tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        write(tmp_path / 'gone', 1)
    assert raised.value.filename == str(tmp_path / 'gone') and not names(tmp_path)


def test_leftovers_of_killed_processes_go_and_nothing_else(tmp_path):
    prefix = write(tmp_path, 5)
    for folder in ('ckpt-6_temp', '.tmp-x', 'mine', 'ckpt-7'):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'part-00000-of-00001.index').write_text('x')
    for name in ('ckpt-6.index.tempstate123', 'ckpt-6.data-00000-of-00001.tempstate9', '.tmp-file', 'notes.txt'):
        (tmp_path / name).write_text('x')
    (tmp_path / '.tmp-link').symlink_to(tmp_path / 'mine')
    checkpoint_files.remove_leftovers(tmp_path)
    assert names(tmp_path) == {
        *(file.name for file in checkpoint_files.files_of(prefix)),
        'mine',
        'ckpt-7',
        'notes.txt',
        '.tmp-link',
    }
    assert list((tmp_path / 'mine').iterdir())
