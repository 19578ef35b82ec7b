from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.runs.records import DamagedRecordError
from pocketflow.utils.runs.run_directory import RunDirectory, differences, fingerprint


@pytest.mark.parametrize('name', ['run[1]', 'back\\slash'])
def test_a_name_in_which_no_checkpoint_would_be_found_again_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match='the run could not be continued; give a directory without them'):
        RunDirectory(tmp_path / name).acquire(['--seed=1'])
    assert not (tmp_path / name).exists()


def test_equal_flags_continue_and_other_flags_are_refused(tmp_path):
    run = RunDirectory(tmp_path / 'run')
    run.acquire(['--a=1', '--b=2'])
    run.release()
    run.acquire(['--b=2', '--a=1'])
    assert run.recorded_flags() == ['--a=1', '--b=2']
    run.release()
    with pytest.raises(UsageError, match=r'holds a run with other flags \(a: 1 there, 3 given\); give another'):
        run.acquire(['--a=3', '--b=2'])
    run.release()


def test_differing_flags_say_which_is_where():
    assert differences(['--a=1', '--learner=x', '--b=2'], ['--a=2', '--learner=y', '--b=2']) == [
        'learner: x there, y given',
        'a: 1 there, 2 given',
    ]
    assert differences(['--a=1', '# workers=2'], ['--c=d=e']) == [
        'a: 1 there, nothing given',
        'c: nothing there, d=e given',
        'workers: 2 there, nothing given',
    ]
    assert differences(['--a=1', '# workers=2'], ['--a=1'], ['# workers']) == []
    assert differences(['# sha256 of --x: ab', '# exports a model'], ['# sha256 of --x: cd']) == [
        'exports a model: yes there, nothing given',
        'sha256 of --x: ab there, cd given',
    ]


def test_only_the_first_of_many_differing_flags_are_named(tmp_path):
    run = RunDirectory(tmp_path / 'run')
    run.acquire([f'--{name}=1' for name in 'abcdef'])
    run.release()
    with pytest.raises(UsageError, match=r'\(a: 1 there, 2 given; b: .*; d: 1 there, 2 given and 2 more\); give'):
        run.acquire([f'--{name}=2' for name in 'abcdef'])


def test_a_directory_of_other_files_is_left_alone(tmp_path):
    (tmp_path / 'thesis.tex').write_text('x')
    with pytest.raises(UsageError, match='thesis.tex'):
        RunDirectory(tmp_path).acquire(['--a=1'])
    (tmp_path / 'file').write_text('x')
    with pytest.raises(UsageError, match='is a file'):
        RunDirectory(tmp_path / 'file').acquire(['--a=1'])


def test_two_processes_do_not_share_a_directory(tmp_path):
    first = RunDirectory(tmp_path / 'run')
    first.acquire(['--a=1'])
    with pytest.raises(UsageError, match='another process'):
        RunDirectory(tmp_path / 'run').acquire(['--a=1'])
    first.release()
    first.acquire(['--a=1'])
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
    first.acquire(['--a=1'])
    first.release()
    with pytest.raises(UsageError, match='other flags'):
        first.acquire(['--a=2'])
    second = RunDirectory(tmp_path / 'run')
    second.acquire(['--a=1'])
    second.release()


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').write_text('x')
    with pytest.raises(UsageError, match=r'file/run: cannot be written to \(Not a directory\); give another'):
        RunDirectory(tmp_path / 'file' / 'run').acquire(['--a=1'])


@pytest.mark.parametrize('name', ['.cache/.tmp-mine', '.tmp-mine', '.profile'])
def test_hidden_files_are_other_peoples_files_too(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text('x')
    with pytest.raises(UsageError, match=r'holds files that are not of a run \(\..*, \.\.\.\); give an empty or new'):
        RunDirectory(tmp_path).acquire(['--a=1'])
    assert [path for path in tmp_path.rglob('*') if path.is_file()] == [tmp_path / name]


def test_an_empty_flag_file_makes_no_run(tmp_path):
    (tmp_path / 'flags.txt').write_text('')
    with pytest.raises(UsageError, match=r'not of a run \(flags.txt, ...\)'):
        RunDirectory(tmp_path).acquire(['--a=1'])


@pytest.mark.parametrize('name', ['.gitignore', '.DS_Store', '.lock'])
def test_what_lies_in_empty_directories_does_not_matter(tmp_path, name):
    (tmp_path / name).write_text('mine')
    run = RunDirectory(tmp_path)
    run.acquire(['--a=1'])
    run.release()
    assert (tmp_path / name).read_text() == 'mine'


def test_only_torn_files_of_a_run_are_removed(tmp_path):
    run = RunDirectory(tmp_path / 'run')
    run.acquire(['--a=1'])
    run.release()
    (tmp_path / 'mine').write_text('x')
    (run / 'stage').mkdir()
    (run / 'stage' / '.tmp-torn.keras').write_text('x')
    (run / '.tmp-folder').mkdir()
    (run / '.tmp-link').symlink_to(tmp_path / 'mine')
    run.acquire(['--a=1'])
    run.release()
    assert {path.name for path in run.path.rglob('.tmp-*')} == {'.tmp-folder', '.tmp-link'}
    assert (tmp_path / 'mine').exists()


def test_flag_files_that_cannot_be_read(tmp_path, monkeypatch):
    (tmp_path / 'flags.txt').write_bytes(b'--a=\xff\n')
    for action in (RunDirectory(tmp_path).recorded_flags, lambda: RunDirectory(tmp_path).acquire(['--a=1'])):
        with pytest.raises(UsageError, match=r'^--run_dir=.*: flags.txt holds no text, so it is not of a'):
            action()

    def refuse(*_, **__):
        raise PermissionError(13, 'Permission denied')

    for method, what in (('read_text', 'flags.txt'), ('exists', 'the directory')):
        with (
            monkeypatch.context() as context,
            pytest.raises(UsageError, match=(rf'{what} cannot be read \(Permission denied\); give another directory')),
        ):
            context.setattr(Path, method, refuse)
            RunDirectory(tmp_path / 'new').acquire(['--a=1'])


def test_temporary_files_of_the_process_lie_in_the_run(tmp_path):
    run, before = RunDirectory(tmp_path / 'run'), (tempfile.gettempdir(), os.environ.get('TMPDIR'))
    with run.temporary_folder() as folder:
        made, inherited = Path(tempfile.mkdtemp()), subprocess.check_output(['mktemp', '-d'], text=True).strip()
        assert folder.parent == run.path and made.parent == folder and Path(inherited).parent == folder
        with run.temporary_folder(1) as other:
            assert Path(tempfile.mkdtemp()).parent == other != folder
        assert Path(tempfile.mkdtemp()).parent == folder and not other.exists()
    assert (tempfile.gettempdir(), os.environ.get('TMPDIR')) == before
    assert not list(run.path.iterdir())


def test_temporary_files_of_killed_processes_go_with_the_next_call(tmp_path):
    run = RunDirectory(tmp_path / 'run')
    run.acquire(['--a=1'])
    run.release()
    for name in ('tmp-worker-0', 'tmp-worker-12', 'tmp-mine', 'stage'):
        (run / name / 'saved_model').mkdir(parents=True)
        (run / name / 'saved_model' / 'part').write_text('x')
    (tmp_path / 'mine').mkdir()
    (run / 'tmp-worker-3').symlink_to(tmp_path / 'mine')
    run.acquire(['--a=1'])
    run.release()
    assert {path.name for path in run.path.iterdir()} == {'.lock', 'flags.txt', 'tmp-mine', 'stage', 'tmp-worker-3'}
    (run / 'tmp-worker-2' / 'old').mkdir(parents=True)
    with run.temporary_folder(2) as folder:
        assert not list(folder.iterdir())


@pytest.mark.parametrize('content', [b'', b'{"train": "1"}', b'{"train": 1e999}', b'{"train": -1}', b'[1]', b'\xff'])
def test_damaged_seconds_are_named_before_the_work(tmp_path, content):
    (tmp_path / 'seconds.json').write_bytes(content)
    with (
        pytest.raises(DamagedRecordError, match='^.*/seconds.json: damaged record .*; delete it: the seconds of the'),
        RunDirectory(tmp_path).timed('train'),
    ):
        pytest.fail('worked')


def test_seconds_that_cannot_be_written_do_not_hide_what_has_happened(tmp_path):
    run = RunDirectory(tmp_path / 'run')
    run.acquire(['--a=1'])
    with pytest.raises(RuntimeError, match='it'), run.timed('train'):
        shutil.rmtree(run.path)
        raise RuntimeError('it')
    run.release()
    assert not run.path.exists()


def test_a_directory_that_was_removed_is_not_made_anew(tmp_path):
    run = RunDirectory(tmp_path / 'run')
    run.acquire(['--a=1'])
    with pytest.raises(FileNotFoundError) as raised, run.timed('train'):
        shutil.rmtree(run.path)
    run.release()
    assert raised.value.filename == str(run.path) and not run.path.exists()


def test_what_claiming_would_refuse_is_told_without_writing(tmp_path):
    run = RunDirectory(tmp_path / 'runs' / 'one')
    run.refuse_other_use(['--a=1'])
    assert not (tmp_path / 'runs').exists()
    run.acquire(['--a=1'])
    run.release()
    run.refuse_other_use(['--a=1'])
    with pytest.raises(UsageError, match='holds a run with other flags'):
        run.refuse_other_use(['--a=2'])
    with pytest.raises(UsageError, match=r'flags.txt/below: cannot be written to \(Not a directory\)'):
        RunDirectory(tmp_path / 'runs' / 'one' / 'flags.txt' / 'below').refuse_other_use(['--a=1'])
