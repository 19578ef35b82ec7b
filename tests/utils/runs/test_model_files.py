"""A finished run's files are compared with what was written."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from pocketflow.utils.runs.model_files import damaged_files, find_defect, refuse_damaged
from pocketflow.utils.runs.records import DamagedRecordError


def archive(path: Path) -> int:
    """A `.keras` file, as far as its container goes; returns its length."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('config.json', '{}')
        file.writestr('model.weights.h5', b'\x01\x02' * 5000)
    return path.stat().st_size


def damage(path: Path, kind: str) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    {
        'bit': lambda: path.write_bytes(content),
        'cut': lambda: path.write_bytes(content[:3000]),
        'gone': path.unlink,
        'empty': lambda: path.write_bytes(b''),
        'nonsense': lambda: path.write_bytes(b'nonsense'),
    }[kind]()


@pytest.mark.parametrize('kind', ['bit', 'cut', 'gone', 'empty', 'nonsense'])
@pytest.mark.parametrize('knows_length', [True, False])
def test_damage_of_a_model_is_seen(tmp_path, kind, knows_length):
    path = tmp_path / 'model.keras'
    num_bytes = archive(path)
    assert find_defect(path, num_bytes if knows_length else None) is None
    refuse_damaged(path, 'delete it')
    damage(path, kind)
    reason = find_defect(path, num_bytes if knows_length else None)
    assert reason == 'is gone' if kind == 'gone' else reason.startswith('is damaged (')
    with pytest.raises(DamagedRecordError, match=f'^{path}: is (gone|damaged .*); delete it to') as raised:
        refuse_damaged(path, 'delete it to write it again')
    assert '\n' not in str(raised.value)


def test_all_files_of_a_report_are_looked_at(tmp_path):
    sizes = [archive(path) for path in (tmp_path / 'model.keras', tmp_path / 'baseline' / 'model.keras')]
    for name in ('a.tflite', 'b.tflite', 'baseline/a.tflite'):
        (tmp_path / name).write_bytes(b'x' * 10)
    report = {
        'baseline': {'keras_bytes': sizes[1], 'file': 'baseline/a.tflite', 'file_bytes': 10},
        'compressed': {'keras_bytes': sizes[0]},
        'verdict': {},
        'exports': [{'path': 'a.tflite', 'bytes': 10}, {'path': 'b.tflite', 'bytes': 10}],
    }
    report['verdict'] = {'smaller': True}
    assert damaged_files(tmp_path, report) == []
    (tmp_path / 'b.tflite').write_bytes(b'x' * 9)
    (tmp_path / 'model.keras').unlink()
    damage(tmp_path / 'baseline' / 'model.keras', 'bit')
    (tmp_path / 'baseline' / 'a.tflite').unlink()
    assert damaged_files(tmp_path, report) == [
        'model.keras is gone',
        'b.tflite is damaged (9 of 10 bytes)',
        'baseline/model.keras is damaged (the checksum of its part model.weights.h5 is wrong)',
        'baseline/a.tflite is gone',
    ]
    assert len(damaged_files(tmp_path, {**report, 'verdict': None})) == 2  # nothing was compared with a baseline
