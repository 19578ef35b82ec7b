"""Log lines go to the terminal and, inside the block, to the run's file."""

from __future__ import annotations

import logging as python_logging
from pathlib import Path

import pytest
from absl import logging

from pocketflow.utils.runs import log_file


@pytest.fixture(autouse=True)
def _logger():
    """Leaves absl's logger as it was."""
    logger = python_logging.getLogger('absl')
    before = logger.handlers, logger.propagate, list(logger.filters), logging.get_verbosity()
    yield
    logger.handlers, logger.propagate, logger.filters = before[:3]
    logging.set_verbosity(before[3])


def test_short_lines_on_the_terminal(capsys):
    log_file.start(debug=False)
    logging.info('step %d', 7)
    logging.debug('too much')
    out, err = capsys.readouterr()
    assert out == '' and err.endswith(' step 7\n') and len(err) == len('12:34:56 step 7\n')


def test_debug_lines_are_for_those_who_ask(capsys):
    log_file.start(debug=True)
    logging.debug('details')
    assert 'details' in capsys.readouterr().err


def test_starting_again_does_not_double_the_lines(capsys):
    log_file.start(debug=False)
    log_file.start(debug=False)
    logging.info('once')
    assert capsys.readouterr().err.count('once') == 1


def test_file_gets_the_lines_of_the_block_and_keeps_older_ones(tmp_path, capsys):
    log_file.start(debug=False)
    path = tmp_path / 'log.txt'
    path.write_text('an earlier call\n')
    logging.info('before')
    with pytest.raises(ZeroDivisionError), log_file.log_file(path):
        logging.info('grün')
        raise ZeroDivisionError
    logging.info('after')
    first, second = path.read_text(encoding='utf-8').splitlines()
    assert first == 'an earlier call' and second.endswith(' grün')
    assert capsys.readouterr().err.count('\n') == 3


@pytest.mark.parametrize(
    ('path', 'level', 'shown'),
    [
        ('/lib/site-packages/tensorflow/python/a.py', python_logging.INFO, False),
        ('/lib/site-packages/tensorflow/python/a.py', python_logging.WARNING, True),
        (f'{log_file.ROOT}/learners/pipeline.py', python_logging.INFO, True),
        ('/home/somebody/my_pair.py', python_logging.INFO, True),
    ],
)
def test_libraries_only_warn(path, level, shown):
    record = python_logging.LogRecord('absl', level, path, 1, 'text', None, None)
    assert log_file._is_shown(record) is shown


def test_an_installed_copy_still_talks(monkeypatch):
    """Beside the libraries, our own files are told from theirs."""
    monkeypatch.setattr(log_file, 'ROOT', log_file.Path('/lib/site-packages'))
    for path, shown in (('learners/program/pipeline.py', True), ('main.py', True), ('tensorflow/a.py', False)):
        record = python_logging.LogRecord('absl', python_logging.INFO, f'/lib/site-packages/{path}', 1, '', None, None)
        assert log_file._is_shown(record) is shown


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='no /dev/full on this system')
def test_a_full_disk_is_an_error_not_a_traceback_per_line(tmp_path, capsys):
    log_file.start(debug=False)
    (tmp_path / 'log.txt').symlink_to('/dev/full')
    with pytest.raises(OSError, match='No space left on device') as raised, log_file.log_file(tmp_path / 'log.txt'):
        logging.info('one')
    assert raised.value.filename == str(tmp_path / 'log.txt')
    assert 'Traceback' not in capsys.readouterr().err


@pytest.mark.parametrize('quiet', [False, True])
def test_the_logging_of_a_calling_program_is_restored(quiet, capsys):
    logger = python_logging.getLogger('absl')
    before = list(logger.handlers), logger.propagate, list(logger.filters), logging.get_verbosity()
    with pytest.raises(ZeroDivisionError), log_file.started(debug=True, quiet=quiet):
        logging.info('a step')
        logging.warning('careful')
        raise ZeroDivisionError
    err = capsys.readouterr().err
    assert 'careful' in err and ('a step' in err) != quiet
    assert (logger.handlers, logger.propagate, list(logger.filters), logging.get_verbosity()) == before
