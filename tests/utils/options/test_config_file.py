"""YAML files as flags."""

from __future__ import annotations

import dataclasses

import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options, from_flags, option
from pocketflow.utils.options.config_file import Entry, config_path, flags_of, read_config
from pocketflow.utils.options.parsing import parse

TEXT = """
model: {size: 20}
strategies:
  - learner: one
    share: 0.5
  - two
export: {formats: [int8, float32], quick: true, head: null}
empty:
"""


@pytest.fixture
def path(tmp_path):
    """A file of all forms."""
    file = tmp_path / 'a.yaml'
    file.write_text(TEXT, encoding='utf-8')
    return file


def test_a_file_gives_flags_and_a_chain_of_learners(path):
    assert read_config(path)[2] == Entry('strategies[0].share', 'strategies', 'share', '0.5', 'one')
    assert flags_of(read_config(path)) == [
        '--size=20',
        '--share=0.5',
        '--formats=int8,float32',
        '--quick=true',
        '--learner=one,two',
    ]


@dataclasses.dataclass(frozen=True)
class Some(Options):
    """Flags of the file, and one that only the command line sets."""

    config: str | None = option('config', None, 'a file')
    size: int = option('size', 1, 'a number')
    share: float = option('share', 1.0, 'a number')
    learner: str = option('learner', 'none', 'a name')
    quick: bool = option('quick', False, 'a switch')
    formats: str = option('formats', '', 'names')


def test_flags_and_flag_files_override_the_file(path, tmp_path):
    (tmp_path / 'a.flags').write_text(f'--config={path}\n--share=0.25\n')
    given = from_flags(Some, parse([Some], ['main.py', f'--flagfile={tmp_path}/a.flags', '--size=56']))
    assert given == Some(str(path), 56, 0.25, 'one,two', True, 'int8,float32')


def test_the_last_file_on_the_command_line_counts():
    assert config_path(['--config=a', '-config', 'b', '--configure=c']) == 'b'
    assert config_path(['--', '--config=a']) is None and config_path(['--config']) is None


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'must have sections'),
        ('- a', 'must have sections'),
        ('model: lenet', 'model: must hold keys with values'),
        ('strategies: {learner: one}', 'strategies: must be a list'),
        ('strategies: [{share: 1}]', r'strategies\[0\]: must name one learner'),
        ('strategies: ["one,two"]', r'strategies\[0\]: must name one learner'),
        ('data: {path: {deep: 1}}', 'data.path: must be a number, a text'),
        ('data: {path: []}', 'data.path: must be a number, a text'),
        ('strategies: [{learner: a, x: 1}, {learner: b, x: 2}]', r'strategies\[1\].x is 2, but strategies\[0\].x is 1'),
        ('a: [', 'is not YAML'),
    ],
)
def test_other_forms_are_refused(tmp_path, text, message):
    (tmp_path / 'a.yaml').write_text(text, encoding='utf-8')
    with pytest.raises(UsageError, match=f'^--config=.*a.yaml: {message}'):
        read_config(tmp_path / 'a.yaml')


def test_a_missing_file_is_named():
    with pytest.raises(UsageError, match=r'^--config=none.yaml: cannot be read \(No such file'):
        parse([Some], ['main.py', '--config=none.yaml'])
