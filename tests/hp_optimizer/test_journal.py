"""The journal keeps each trial, survives a torn last line, and refuses the trials of another search."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pocketflow.hp_optimizer.journal import Journal, Trial, first_of
from pocketflow.hp_optimizer.space import Kind, Parameter, SearchSpace
from pocketflow.utils.errors import PocketFlowError, UsageError

SPACE = SearchSpace([Parameter('x', Kind.FLOAT, 0, 1)])


def trial(number: int, x: float, reward: float | None) -> Trial:
    return Trial(number, {'x': x}, None, reward, 1.5, 7, {'epoch': 3})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'run' / 'search.jsonl'


def test_trials_come_back(path: Path):
    journal = Journal(path, SPACE)
    for number, x in enumerate((0.1, 1 / 3), 1):
        journal.append(trial(number, x, 0.5 + x))
    assert Journal(path, SPACE).trials == journal.trials
    assert len(path.read_text(encoding='utf-8').splitlines()) == 3
    assert first_of(journal.trials, {'x': 1 / 3}).number == 2 and first_of(journal.trials, {'x': 0.2}) is None


def test_a_round_is_kept_at_once(path: Path, monkeypatch: pytest.MonkeyPatch):
    synced = []
    monkeypatch.setattr(os, 'fsync', synced.append)
    journal = Journal(path, SPACE)
    journal.append(*(trial(number, 0.1 * number, 0.5) for number in (1, 2, 3)))
    journal.append()
    assert len(synced) == 2 and len(journal.trials) == 3  # the file, and the folder in which it is new
    journal.append(trial(4, 0.4, 0.5))
    assert len(synced) == 3
    assert Journal(path, SPACE).trials == journal.trials
    path.write_bytes(path.read_bytes()[:-5])
    assert [one.number for one in Journal(path, SPACE).trials] == [1, 2, 3]


def test_one_that_follows_writes_nothing(path: Path):
    journal = Journal(path, SPACE)
    journal.follow([trial(1, 0.1, 0.5)])
    journal.append(trial(2, 0.2, 0.6))
    assert [one.number for one in journal.trials] == [1, 2] and not path.exists()


@pytest.mark.parametrize('num_lost', [1, 20])
def test_a_torn_last_line_is_dropped(path: Path, num_lost: int):
    journal = Journal(path, SPACE)
    for number in (1, 2):
        journal.append(trial(number, 0.1 * number, 0.5))
    path.write_bytes(path.read_bytes()[:-num_lost])
    again = Journal(path, SPACE)
    assert [one.number for one in again.trials] == [1]
    again.append(trial(2, 0.9, 0.6))
    assert [one.values for one in Journal(path, SPACE).trials] == [{'x': 0.1}, {'x': 0.9}]


def test_a_torn_first_line_begins_anew(path: Path):
    Journal(path, SPACE).append(trial(1, 0.1, 0.5))
    path.write_bytes(path.read_bytes()[:10])
    again = Journal(path, SPACE)
    assert again.trials == []
    again.append(trial(1, 0.2, 0.5))
    assert Journal(path, SPACE).trials == again.trials


def test_another_search_is_refused(path: Path):
    Journal(path, SPACE, {'steps': 400}).append(trial(1, 0.1, 0.5))
    for domain, context in ((SPACE, {'steps': 500}), (SearchSpace([Parameter('x', Kind.FLOAT, 0, 2)]), {'steps': 400})):
        with pytest.raises(UsageError, match='search.jsonl is the journal of another search .* use another run'):
            Journal(path, domain, context)


@pytest.mark.parametrize(
    'header, text',
    [
        ('{"a": 1}', 'is not a search journal: its first line is'),
        ('hello', 'is not a search journal'),
        (json.dumps({'schema': 9, 'fingerprint': 'x'}), 'of schema 9; this version reads 1'),
    ],
)
def test_a_foreign_file_is_refused(path: Path, header: str, text: str):
    path.parent.mkdir()
    path.write_text(header + '\n', encoding='utf-8')
    with pytest.raises(UsageError, match=text):
        Journal(path, SPACE)


def test_a_broken_line_in_the_middle_is_named(path: Path):
    Journal(path, SPACE).append(trial(1, 0.1, 0.5))
    with open(path, 'a', encoding='utf-8') as file:
        file.write('{"number": 2}\n')
    with pytest.raises(PocketFlowError, match='line 3 is no trial: .*number'):
        Journal(path, SPACE)


WHOLE = {'number': 2, 'values': {'x': 0.5}, 'cost': None, 'reward': 0.5, 'seconds': 1.0, 'seed': 0, 'extra': {}}


@pytest.mark.parametrize(
    'change',
    [
        {'number': '2'},
        {'number': 3},
        {'number': True},
        {'values': []},
        {'values': {'x': None}},
        {'values': {'x': 'y'}},
        {'values': {'x': 2.0}},
        {'values': {'y': 0.5}},
        {'cost': 'much'},
        {'cost': float('inf')},
        {'reward': [0.5]},
        {'reward': float('nan')},
        {'seconds': float('inf')},
        {'seconds': -1},
        {'seconds': None},
        {'seed': 0.5},
        {'extra': None},
        {'extra': {'before': '0.5'}},
        {'extra': {'same_as': 2}},
        {'extra': {'same_as': 0}},
        {'more': 1},
    ],
)
def test_lines_of_wrong_types_are_named(path: Path, change: dict):
    Journal(path, SPACE).append(trial(1, 0.1, 0.5))
    with open(path, 'a', encoding='utf-8') as file:
        file.write(json.dumps(WHOLE) + '\n')
    assert len(Journal(path, SPACE).trials) == 2
    path.write_text(path.read_text().replace(json.dumps(WHOLE), json.dumps({**WHOLE, **change})), encoding='utf-8')
    with pytest.raises(PocketFlowError, match=f'^{path}: line 3 is no trial: .*; delete it and the lines') as raised:
        Journal(path, SPACE)
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize('line', [b'\xff\xfe', b'[' * 100_000, b'null', b'1e999', b'', b'"' + b'9' * 9000 + b'"'])
def test_damaged_lines_are_named_shortly(path: Path, line: bytes):
    Journal(path, SPACE).append(trial(1, 0.1, 0.5))
    path.write_bytes(path.read_bytes() + line + b'\n')
    with pytest.raises(PocketFlowError, match='line 3 is no trial') as raised:
        Journal(path, SPACE)
    assert len(str(raised.value)) < 600 and '\n' not in str(raised.value)


@pytest.mark.parametrize('content', [b'\0' * 4096, b'\x8f\x10', b'nonsense'])
@pytest.mark.parametrize('num_trials', [0, 1])
def test_what_is_no_torn_line_is_kept_aside(path: Path, num_trials: int, content: bytes, caplog):
    if num_trials:
        Journal(path, SPACE).append(trial(1, 0.1, 0.5))
    path.parent.mkdir(exist_ok=True)
    damaged = (path.read_bytes() if num_trials else b'') + content
    for name in ('search.jsonl.damaged', 'search.jsonl.damaged-2'):
        path.write_bytes(damaged)
        caplog.clear()
        again = Journal(path, SPACE)
        assert len(again.trials) == num_trials and (path.parent / name).read_bytes() == damaged
        assert f'{path}: damaged after its first ' in caplog.text and f'kept as {name}' in caplog.text
    again.append(trial(num_trials + 1, 0.2, 0.5))
    assert Journal(path, SPACE).trials == again.trials


def test_a_torn_line_is_nothing_to_speak_of(path: Path, caplog):
    Journal(path, SPACE).append(trial(1, 0.1, 0.5))
    path.write_bytes(path.read_bytes() + b'{"number": 2, "val')
    assert len(Journal(path, SPACE).trials) == 1
    assert not caplog.records and [file.name for file in path.parent.iterdir()] == ['search.jsonl']


def test_the_first_of_the_best_is_the_best():
    journal = Journal(None, SPACE)
    assert journal.best() is None
    for number, reward in enumerate((None, 0.5, 0.7, 0.7), 1):
        journal.append(trial(number, 0.1 * number, reward))
    assert journal.best().number == 3
