"""docs/flags.md is what the generator makes of the options classes, and the generator leaves nothing out."""

from __future__ import annotations

import dataclasses
import re

from pocketflow.learners.program.checks import checked_command
from pocketflow.scripts.generate_flags_page import PAGE, chapter, page, superseded
from pocketflow.utils.options import Options, option, option_fields, superseded_flags, with_defaults


@dataclasses.dataclass(frozen=True)
class SmallOptions(Options):
    """What is common."""

    superseded = {'old_rate': 'a|b is exact'}
    superseded_switches = {'old_haste': 'it is always fast'}

    rate: float = option('rate', 0.5, 'how fast', low=0, high=1)
    fast: bool = option('fast', False, 'whether to hurry', decides=False)
    path: str | None = option('path', None, 'where', needs='fast rate=1', unless='kind')


@dataclasses.dataclass(frozen=True)
class WideOptions(SmallOptions):
    """What is also set about wide ones."""

    kind: str = option('kind', 'a', 'which', choices=('a', 'b'))


USERS = {
    'one': SmallOptions,
    'two': with_defaults(SmallOptions, 'TwoOptions', rate=0.1),
    'three': WideOptions,
    'four': Options,
}


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding='utf-8') == page(), 'run .venv/bin/python scripts/generate_flags_page.py'


def test_every_flag_of_the_command_line_is_on_the_page():
    classes = checked_command(['main.py', '--model=lenet', '--dataset=digits']).options_classes()
    flags = {field.metadata['flag'] for options_class in classes for field in option_fields(options_class)}
    flags |= superseded_flags(classes).keys()
    assert flags and flags <= set(re.findall(r'^\| `--(\w+)`', page(), re.MULTILINE))


def test_a_chapter_lists_each_flag_once_under_the_class_that_declares_it():
    assert list(chapter('Title', 'Users', USERS)) == [
        '\n## Title',
        '',
        '### SmallOptions',
        '',
        'What is common. Users: `one`, `two`, `three`.',
        '',
        '| flag | type | default | accepts | meaning |',
        '| --- | --- | --- | --- | --- |',
        '| `--rate` | float | `0.5` (one, three), `0.1` (two) | a number >= 0 and <= 1 | how fast |',
        '| `--fast` (*) | bool | `false` |  | whether to hurry |',
        '| `--path` | str | - |  | where (needs --fast --rate=1; not with --kind) |',
        '',
        '### WideOptions',
        '',
        'What is also set about wide ones. Users: `three`.',
        '',
        '| flag | type | default | accepts | meaning |',
        '| --- | --- | --- | --- | --- |',
        '| `--kind` | str | `a` | one of a, b | which |',
        '\nWithout flags of their own: `four`.',
    ]


def test_superseded_flags_come_once_with_their_reasons():
    assert list(superseded(USERS.values()))[-3:] == [
        '| --- | --- |',
        '| `--old_rate` | a\\|b is exact |',
        '| `--old_haste` | it is always fast |',
    ]
