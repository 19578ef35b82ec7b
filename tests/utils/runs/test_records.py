"""Whatever a record holds, it is read as it was written, or named in one line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from pocketflow.utils.runs.records import (
    MAX_BYTES,
    MAX_DEPTH,
    DamagedRecordError,
    Number,
    copy_damaged,
    depth,
    mismatches,
    parsed,
    read_record,
    required_record,
)

SHAPE = {
    'name': str,
    'steps': int,
    'loss': float,
    'done?': bool,
    'pair': [int, float],
    'rows': [{'p': Number(above=0)}],
    'verdict': ({'size': Number(low=1)}, None),
    'more': {'a': str, ...: float},
}
GOOD = {
    'name': 'x',
    'steps': 3,
    'loss': math.inf,
    'pair': [1, 2.5],
    'rows': [{'p': 1}, {'p': 0.5, 'q': 'w'}],
    'verdict': None,
    'more': {'a': 'b', 'c': 1, 'd': 2.5},
    'unknown': [[]],
}


def changed(**changes) -> dict:
    return {**GOOD, **changes}


@pytest.mark.parametrize('value', [GOOD, changed(done=True), changed(verdict={'size': 1}), changed(rows=[])])
def test_what_was_written_comes_back(tmp_path, value):
    (tmp_path / 'a.json').write_text(json.dumps(value))
    assert read_record(tmp_path / 'a.json', SHAPE, 'delete it') == value


def test_a_record_that_must_be_there_is_missed(tmp_path):
    file = tmp_path / 'a.json'
    with pytest.raises(DamagedRecordError, match=r'a\.json: is gone; delete it$'):
        required_record(file, SHAPE, 'delete it')
    file.write_text(json.dumps(GOOD))
    assert required_record(file, SHAPE, 'delete it') == GOOD


def test_no_file_is_no_record(tmp_path):
    assert read_record(tmp_path / 'a.json', SHAPE, 'delete it') is None
    (tmp_path / 'a.json').symlink_to('nowhere')
    assert read_record(tmp_path / 'a.json', SHAPE, 'delete it') is None


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'', 'it is empty'),
        (b'\0' * 4096, 'it holds no text'),
        (b'  \n', 'it holds no text'),
        (b'\x89PNG\xff', 'it holds no text'),
        (json.dumps(GOOD).encode()[:-9], 'it is no JSON: '),
        (b'nonsense', 'it is no JSON: '),
        (json.dumps(GOOD).encode() * 2, 'it is no JSON: Extra data'),
        (b'[' * 500_000, 'it is nested too deep'),
        (b'{"a":' * 500_000, 'it is nested too deep'),
        (b'9' * 100_000, 'it is no JSON: '),
        (b'[' * (MAX_DEPTH + 1) + b']' * (MAX_DEPTH + 1), 'it is nested too deep'),
        (b'{"a":' * (MAX_DEPTH + 1) + b'0' + b'}' * (MAX_DEPTH + 1), 'it is nested too deep'),
        (b'null', 'it is null, not an object'),
        (b'3', 'it is 3, not an object'),
        (b'"' + b'x' * 500 + b'"', 'it is "xxx'),
        (b'[]', 'it is a list, not an object'),
        (b'{}', 'name is missing'),
    ],
)
def test_damage_is_named_in_one_line(tmp_path, content, reason):
    path = tmp_path / 'a.json'
    path.write_bytes(content)
    with pytest.raises(DamagedRecordError) as raised:
        read_record(path, SHAPE, 'delete it to have it again')
    message = str(raised.value)
    assert message.startswith(f'{path}: damaged record ({reason}') and message.endswith('); delete it to have it again')
    assert '\n' not in message and len(message) < 400
    assert parsed(content, SHAPE) is None and path.read_bytes() == content


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'name': 3}, 'name is 3, not a text'),
        ({'steps': 2.5}, 'steps is 2.5, not a whole number'),
        ({'steps': True}, 'steps is true, not a whole number'),
        ({'steps': 10**30}, 'steps is 1000000'),
        ({'loss': '0.5'}, 'loss is "0.5", not a number'),
        ({'loss': 10**400}, 'loss is 1'),
        ({'loss': False}, 'loss is false'),
        ({'done': 1}, 'done is 1, not true or false'),
        ({'pair': [1]}, 'pair has 1 items, not 2'),
        ({'pair': [1, 'x']}, 'pair[1] is "x", not a number'),
        ({'pair': {}}, 'pair is an object, not a list'),
        ({'rows': [{'p': 1}, {'p': 0}]}, 'rows[1].p is 0, not a finite number > 0'),
        ({'rows': [{'p': math.inf}]}, 'rows[0].p is Infinity, not a finite number > 0'),
        ({'rows': [{'p': math.nan}]}, 'rows[0].p is NaN'),
        ({'rows': [[]]}, 'rows[0] is a list, not an object'),
        ({'verdict': {'size': 0}}, 'verdict.size is 0, not a finite number >= 1'),
        ({'verdict': 'x'}, 'verdict is "x", not an object'),
        ({'more': {'a': 'b', 'c': 'd'}}, 'more.c is "d", not a number'),
        ({'more': {'c': 1}}, 'more.a is missing'),
        ({'more': None}, 'more is null, not an object'),
    ],
)
def test_wrong_types_are_named_with_their_place(changes, reason):
    found = list(mismatches(changed(**changes), SHAPE))
    assert len(found) == 1 and found[0].startswith(reason), found
    assert parsed(json.dumps(changed(**changes)).encode(), SHAPE) is None


def test_a_folder_is_no_record(tmp_path):
    (tmp_path / 'a.json').mkdir()
    with pytest.raises(DamagedRecordError, match='it is no file'):
        read_record(tmp_path / 'a.json', SHAPE, 'delete it')


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / 'a.json'
    with open(path, 'wb') as file:
        file.truncate(100 * MAX_BYTES)  # takes no room on the disk
    with pytest.raises(DamagedRecordError, match='it has more than 64 MiB'):
        read_record(path, SHAPE, 'delete it')


def test_depth_by_hand():
    assert [depth(value) for value in (3, [], [3], {'a': [3, {'b': 4}]}, [[[]], 3])] == [0, 1, 1, 3, 3]


def test_damaged_files_get_free_names(tmp_path: Path):
    path = tmp_path / 'a.jsonl'
    for content in ('one', 'two', 'three'):
        path.write_text(content)
        copy_damaged(path)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        'a.jsonl': 'three',
        'a.jsonl.damaged': 'one',
        'a.jsonl.damaged-2': 'two',
        'a.jsonl.damaged-3': 'three',
    }
