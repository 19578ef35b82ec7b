"""Command lines as flags of options classes."""

from __future__ import annotations

import dataclasses

import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options, from_flags, option
from pocketflow.utils.options.parsing import parse


@dataclasses.dataclass(frozen=True)
class Some(Options):
    """A text and a number."""

    name: str = option('name', 'a', 'a text')
    count: int = option('count', 1, 'a number')


def read(*arguments: str, **settings: bool) -> Some:
    return from_flags(Some, parse([Some], ['main.py', *arguments], **settings))


def test_the_command_line_wins_over_a_flag_file_before_it(tmp_path):
    (tmp_path / 'a.flags').write_text('--count=2\n--name=b\n')
    assert read(f'--flagfile={tmp_path}/a.flags', '--count=3') == Some('b', 3)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--nome=b'], "Unknown command line flag 'nome'.*; --help lists the most important flags, --helpfull all"),
        (['--count=x'], 'flag --count=x: '),
        (['--flagfile=none.flags'], '^Unable to open flagfile: '),
        (['b'], "unexpected argument 'b'; flags look like --name=value"),
    ],
)
def test_what_cannot_be_parsed_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        read(*arguments)


def test_a_flag_file_of_bytes_holds_no_text(tmp_path):
    (tmp_path / 'a.flags').write_bytes(b'--name=\xff')
    with pytest.raises(UsageError, match='--flagfile: holds no text'):
        read(f'--flagfile={tmp_path}/a.flags')


def test_a_first_look_leaves_the_rest_for_later():
    assert read('--other=1', 'word', '--count=4', known_only=True).count == 4
