"""`--hpo_space=FILE.yaml`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketflow.hp_optimizer.space import Kind, Order
from pocketflow.hp_optimizer.space_file import names_in_space, read_space
from pocketflow.utils.errors import UsageError

FLAGS = {
    'ws_prune_ratio_exp': float,
    'ws_iter_ratio_beg': float,
    'ws_iter_ratio_end': float,
    'ws_mask_update_step': int,
    'batch_size': int,
    'ws_reward_type': str,
    'enbl_dst': bool,
}
TEXT = """
parameters:
  ws_prune_ratio_exp: {type: float, low: 1, high: 5}
  ws_iter_ratio_beg: {type: float, low: 0, high: 0.9}
  ws_iter_ratio_end: {type: float, low: 0, high: 1}
  ws_mask_update_step: {type: log10, low: 50, high: 2000}
  batch_size: {choice: [32, 64]}
  enbl_dst: {choice: [true, false]}
constraints:
  - ws_iter_ratio_end >= ws_iter_ratio_beg
  - ws_iter_ratio_beg <= ws_iter_ratio_end
"""


def read(folder: Path, text: str):
    file = folder / 'space.yaml'
    file.write_text(text, encoding='utf-8')
    return read_space(file, FLAGS)


def test_a_space_is_read(tmp_path: Path):
    space = read(tmp_path, TEXT)
    assert {name: parameter.kind for name, parameter in space.parameters.items()} == {
        'ws_prune_ratio_exp': Kind.FLOAT,
        'ws_iter_ratio_beg': Kind.FLOAT,
        'ws_iter_ratio_end': Kind.FLOAT,
        'ws_mask_update_step': Kind.LOG10,
        'batch_size': Kind.CHOICE,
        'enbl_dst': Kind.CHOICE,
    }
    assert space.parameters['ws_mask_update_step'].is_whole
    assert set(space.orders) == {Order('ws_iter_ratio_end', 'ws_iter_ratio_beg')}


@pytest.mark.parametrize(
    'text, expected',
    [
        (
            'parameters: {ws_update_mask_step: {type: log10, low: 50, high: 2000}}',
            "unknown flag 'ws_update_mask_step'; flags that can be searched: batch_size, ",
        ),
        (
            'parameters: {ws_iter_ratio_beg: {type: float, low: 1, high: 0}}',
            'low 1 and high 0: low must be less than high',
        ),
        (
            'parameters: {ws_iter_ratio_beg: {type: gauss, low: 0, high: 1}}',
            "unknown type 'gauss'; known: float, int, log10, choice",
        ),
        ('parameters: {ws_iter_ratio_beg: {type: float, low: 0}}', 'needs low and high, has low'),
        ('parameters: {ws_iter_ratio_beg: {type: float, low: 0, high: 1, step: 2}}', 'has high, low, step'),
        ('parameters: {ws_iter_ratio_beg: {type: float, low: a, high: 1}}', "low 'a' and high 1 must be numbers"),
        ('parameters: {ws_iter_ratio_beg: 3}', 'ws_iter_ratio_beg: 3 is not {type: float'),
        (
            'parameters: {batch_size: {type: float, low: 1, high: 9}}',
            'takes whole numbers: type int or log10, not float',
        ),
        ('parameters: {batch_size: {choice: [a, b]}}', "choice ['a', 'b'] is not a list of values of type int"),
        ('parameters: {ws_reward_type: {type: float, low: 1, high: 9}}', 'flag of type str: give {choice: [...]}'),
        ('parameters: {batch_size: {choice: [8]}}', 'give two or more different values'),
        (
            'parameters: {batch_size: {choice: [8, 16]}}\nconstraints: [batch_size > 3]',
            'is not NAME >= NAME or NAME <= NAME',
        ),
        ('parameters: {batch_size: {choice: [8, 16]}}\nconstraints: 3', 'must be a list, not 3'),
        ('params: {}', 'must have the sections parameters and constraints, not params'),
        ('parameters: {}', 'must name one or more flags'),
        ('[1, 2', 'is not YAML'),
    ],
)
def test_a_wrong_file_takes_one_line_that_names_it(tmp_path: Path, text: str, expected: str):
    with pytest.raises(UsageError) as error:
        read(tmp_path, text)
    assert expected in str(error.value)
    assert str(error.value).startswith(f'--hpo_space={tmp_path}/space.yaml')
    assert '\n' not in str(error.value)


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(UsageError, match='cannot read --hpo_space=.*none.yaml: .*No such file'):
        read_space(tmp_path / 'none.yaml', FLAGS)


@pytest.mark.parametrize(
    ('text', 'names'),
    [
        (TEXT, set(FLAGS) - {'ws_reward_type'}),
        ('parameters:\n  no_flag: 3\n', {'no_flag'}),
        ('parameters: 3\n', set()),
        ('- a\n', set()),
        ('a: [', set()),
        ('', set()),
    ],
)
def test_the_names_in_a_file_are_found_whatever_else_it_holds(tmp_path, text, names):
    file = tmp_path / 'space.yaml'
    file.write_text(text)
    assert names_in_space(str(file)) == names


@pytest.mark.parametrize('path', [None, 'none.yaml', '/'])
def test_no_file_names_nothing(path):
    assert names_in_space(path) == frozenset()


ALIASES = (
    'a0: &a0 [x, x, x, x, x, x, x, x, x]\n'
    + ''.join(f'a{level}: &a{level} [{", ".join([f"*a{level - 1}"] * 9)}]\n' for level in range(1, 12))
    + 'parameters: *a11\n'
)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (ALIASES, 'is not YAML: it uses the alias *a0; write the values out'),
        ('parameters: &a {b: *a}', 'is not YAML: it uses the alias *a'),
        ('parameters: ' + '[' * 3000 + ']' * 3000, 'is not YAML: it is nested more than 20 deep'),
        ('\n'.join(' ' * depth + 'a:' for depth in range(300)), 'nested more than 20 deep'),
        ('# ' + 'x' * 2**16, 'is not YAML: it has more than 65536 bytes'),
        ('a: 2001-99-99', 'is not YAML'),
        ('a: ' + '9' * 5000, 'is not YAML'),
        ('a: !!python/object/apply:os.system [ls]', 'is not YAML'),
        ('parameters: {ws_prune_ratio_exp: [' + ', '.join(['x'] * 9000) + ']}', '... is not {type'),
        ('constraints: {' + ', '.join(f'a{place}: 1' for place in range(5000)) + '}', 'parameters'),
        (', '.join(['a'] * 9000), 'must have the sections parameters and constraints'),
    ],
)
def test_a_bomb_takes_one_short_line(tmp_path: Path, text: str, expected: str):
    with pytest.raises(UsageError) as error:
        read(tmp_path, text)
    assert expected in str(error.value) and '\n' not in str(error.value)
    assert len(str(error.value)) < len(str(tmp_path)) + 600
    assert names_in_space(str(tmp_path / 'space.yaml')) <= {'ws_prune_ratio_exp'}
