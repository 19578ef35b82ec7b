"""YAML files of plain values."""

from __future__ import annotations

import pytest
import yaml

from pocketflow.utils.system.yaml_files import MAX_BYTES, MAX_DEPTH, in_one_line, read_yaml


def test_plain_values_are_read(tmp_path):
    (tmp_path / 'a.yaml').write_text('a: {b: [1, 2.5, yes, text]}\n# a comment\nc:\n', encoding='utf-8')
    assert read_yaml(tmp_path / 'a.yaml') == {'a': {'b': [1, 2.5, True, 'text']}, 'c': None}


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a: [1', 'expected'),
        ('a: &x 1\nb: *x\n', r'alias \*x'),
        ('a: 1\nb: 2\na: 3\n', "the key 'a' twice"),
        ('a: !!python/object/apply:os.getcwd []\n', 'could not determine a constructor'),
        ('[' * (MAX_DEPTH + 2) + ']' * (MAX_DEPTH + 2), f'nested more than {MAX_DEPTH} deep'),
        ('a: ' + 'b' * MAX_BYTES, f'more than {MAX_BYTES} bytes'),
        ('a: 2026-99-99\n', 'month must be in 1..12'),
        ('? {b: 1}\n: 2\n', 'unhashable'),
    ],
)
def test_everything_else_is_refused_in_one_line(tmp_path, text, message):
    (tmp_path / 'a.yaml').write_text(text, encoding='utf-8')
    with pytest.raises(yaml.YAMLError, match=message) as caught:
        read_yaml(tmp_path / 'a.yaml')
    assert '\n' not in in_one_line(caught.value)
