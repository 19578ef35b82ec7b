"""The journal keeps each trial, survives a torn last line, and refuses the trials of another search."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hp_optimizer.journal import Journal, Trial
from hp_optimizer.space import Kind, Parameter, SearchSpace
from utils.errors import PocketFlowError, UsageError

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
    assert journal.find({'x': 1 / 3}).number == 2 and journal.find({'x': 0.2}) is None


def test_a_round_is_kept_at_once(path: Path, monkeypatch: pytest.MonkeyPatch):
    synced = []
    monkeypatch.setattr(os, 'fsync', synced.append)
    journal = Journal(path, SPACE)
    journal.append(*(trial(number, 0.1 * number, 0.5) for number in (1, 2, 3)))
    journal.append()
    assert len(synced) == 1 and len(journal.trials) == 3
    assert Journal(path, SPACE).trials == journal.trials
    path.write_bytes(path.read_bytes()[:-5])
    assert [one.number for one in Journal(path, SPACE).trials] == [1, 2]


def test_one_that_follows_writes_nothing(path: Path):
    journal = Journal(path, SPACE)
    journal.follow([trial(1, 0.1, 0.5)])
    journal.append(trial(2, 0.2, 0.6))
    assert [one.number for one in journal.trials] == [1, 2] and not path.exists()


@pytest.mark.parametrize('nb_lost', [1, 20])
def test_a_torn_last_line_is_dropped(path: Path, nb_lost: int):
    journal = Journal(path, SPACE)
    for number in (1, 2):
        journal.append(trial(number, 0.1 * number, 0.5))
    path.write_bytes(path.read_bytes()[:-nb_lost])
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


@pytest.mark.parametrize('header, text', [
    ('{"a": 1}', 'is not a search journal: its first line is'), ('hello', 'is not a search journal'),
    (json.dumps({'schema': 9, 'fingerprint': 'x'}), 'of schema 9; this version reads 1'),
])
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


def test_the_first_of_the_best_is_the_best():
    journal = Journal(None, SPACE)
    assert journal.best() is None
    for number, reward in enumerate((None, 0.5, 0.7, 0.7), 1):
        journal.append(trial(number, 0.1 * number, reward))
    assert journal.best().number == 3
