"""Measurements in child processes, and their journal."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pocketflow.scripts.benchmarks.children import Journal, measured
from pocketflow.utils.errors import UsageError

SETTINGS = {'size': 32}


def python(code: str) -> list[str]:
    return [sys.executable, '-S', '-c', code]


def test_the_row_is_that_of_the_last_line_with_the_seconds():
    code = """
import json, os
print('a table')
print(json.dumps({'rows': [{'network': 'A', 'threads': os.environ['TF_NUM_INTRAOP_THREADS']}]}))
"""
    row = measured(python(code), limit=60)
    assert row['network'] == 'A' and row['threads'] == '1'
    assert 0 <= row['processor_seconds'] <= row['seconds'] + 0.1


@pytest.mark.parametrize(
    ('code', 'reason'),
    [
        ("import sys; sys.exit('error: layer a is wrong')", 'layer a is wrong'),
        ('raise ValueError(1)', 'ValueError: 1'),
        ('import os; os.abort()', 'ended by SIGABRT'),
        ('while True: pass', 'takes more than 1 s of processor time'),
    ],
)
def test_a_failed_child_gives_its_reason(code, reason):
    assert measured(python(code), limit=1)['failed'] == reason


def test_results_are_found_again_and_the_last_one_of_a_network_counts(tmp_path: Path):
    file = str(tmp_path / 'journal')
    for row in ({'network': 'A', 'failed': 'no'}, {'network': 'B', 'macs': 1}, {'network': 'A', 'macs': 2}):
        Journal(file, SETTINGS).add(row)
    assert Journal(file, SETTINGS).rows == {'A': {'network': 'A', 'macs': 2}, 'B': {'network': 'B', 'macs': 1}}


def test_an_incomplete_last_line_is_replaced(tmp_path: Path):
    file = tmp_path / 'journal'
    Journal(str(file), SETTINGS).add({'network': 'A'})
    whole = file.read_text()
    file.write_text(whole + whole[:10])
    journal = Journal(str(file), SETTINGS)
    assert [*journal.rows] == ['A']
    journal.add({'network': 'B'})
    assert [json.loads(line)['row']['network'] for line in file.read_text().splitlines()] == ['A', 'B']


@pytest.mark.parametrize('text', ['notes', 'notes\n', '[]\n', '{"row": 1}\n', '{"size": 32}\n'])
def test_another_file_is_refused_and_left_alone(tmp_path: Path, text: str):
    file = tmp_path / 'notes'
    file.write_text(text)
    with pytest.raises(UsageError, match='notes: line 1 is no result of this benchmark'):
        Journal(str(file), SETTINGS)
    assert file.read_text() == text


def test_results_of_other_settings_are_refused(tmp_path: Path):
    file = str(tmp_path / 'journal')
    Journal(file, SETTINGS).add({'network': 'A'})
    with pytest.raises(UsageError, match='results of a run with --size=32, but this one has --size=64'):
        Journal(file, {'size': 64})


def test_without_a_file_results_are_not_kept():
    journal = Journal(None, SETTINGS)
    journal.add({'network': 'A'})
    assert [*journal.rows] == ['A'] and not Journal(None, SETTINGS).rows
