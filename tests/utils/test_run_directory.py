from __future__ import annotations

import pytest

from utils.errors import UsageError
from utils.run_directory import RunDirectory, fingerprint


def test_equal_flags_continue_and_other_flags_are_refused(tmp_path):
    run = RunDirectory(tmp_path / 'run')
    run.claim(['--a=1', '--b=2'])
    run.release()
    run.claim(['--b=2', '--a=1'])
    assert run.recorded_flags() == ['--a=1', '--b=2']
    run.release()
    with pytest.raises(UsageError, match=r'holds a run with other flags \(--a=1, --a=3\)'):
        run.claim(['--a=3', '--b=2'])
    run.release()


def test_a_directory_of_other_files_is_left_alone(tmp_path):
    (tmp_path / 'thesis.tex').write_text('x')
    with pytest.raises(UsageError, match='thesis.tex'):
        RunDirectory(tmp_path).claim(['--a=1'])
    (tmp_path / 'file').write_text('x')
    with pytest.raises(UsageError, match='is a file'):
        RunDirectory(tmp_path / 'file').claim(['--a=1'])


def test_two_processes_do_not_share_a_directory(tmp_path):
    first = RunDirectory(tmp_path / 'run')
    first.claim(['--a=1'])
    with pytest.raises(UsageError, match='another process'):
        RunDirectory(tmp_path / 'run').claim(['--a=1'])
    first.release()
    first.claim(['--a=1'])
    first.release()


def test_seconds_add_up_over_calls(tmp_path):
    run = RunDirectory(tmp_path)
    with pytest.raises(RuntimeError), run.timed('train'):
        raise RuntimeError
    with RunDirectory(tmp_path).timed('train'):
        pass
    assert set(run.seconds()) == {'train'}
    assert run.seconds()['train'] >= 0


def test_fingerprint_depends_on_values_not_on_order():
    assert fingerprint(['--a=1', '--b=2']) == fingerprint(['--b=2', '--a=1'])
    assert fingerprint(['--a=1']) != fingerprint(['--a=2'])
    assert len(fingerprint([])) == 8


def test_a_refusal_lets_go_of_the_directory(tmp_path):
    first = RunDirectory(tmp_path / 'run')
    first.claim(['--a=1'])
    first.release()
    with pytest.raises(UsageError, match='other flags'):
        first.claim(['--a=2'])
    second = RunDirectory(tmp_path / 'run')
    second.claim(['--a=1'])
    second.release()


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').write_text('x')
    with pytest.raises(UsageError, match=r'file/run: cannot be written to \(Not a directory\); give another'):
        RunDirectory(tmp_path / 'file' / 'run').claim(['--a=1'])
