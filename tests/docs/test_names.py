"""What the pages name exists: files, folders, links, scripts and flags."""

from __future__ import annotations

import doctest
import functools
import re
from pathlib import Path

import pytest

from pocketflow.learners.program.serving.command import OPTIONS as SERVE_OPTIONS
from pocketflow.utils.options import option_fields
from tests.docs import pages
from tests.docs.pages import PAGES, ROOT, commands, flag_words, links, name_of, path_words

EXAMPLES = {
    'docs/deploy.md': {'answer.py', 'classify.py'},
    'docs/networks.md': {'my_pair.py'},
    'docs/tasks.md': {'my_pair.py', 'mine.npz'},
    'docs/tutorials/cluster.md': {'experiment.flags'},
    'docs/tutorials/own_network.md': {'train_digits.py'},
    'docs/extending.md': {
        'my_pair.py',
        'datasets/npz_dataset.py',
        'datasets/npz_options.py',
        'nets/plain.py',
        'nets/plain_at_npz.py',
        'nets/plain_at_npz_options.py',
        'learners/zero_smallest/',
        'learners/zero_smallest/README.md',
        'tests/learners/zero_smallest/',
    },
}
"""Files that a page tells its reader to write."""
PLACEHOLDER = re.compile(r'[A-Z]{2,}|\*')
OLD_FORM = re.compile(r'nets/\w+_run\.py')
"""The original's way to name a pair; the program takes it, and no such file is there."""
IGNORED = ('.git', '.venv', 'runs', '__pycache__')
SERVE_FLAGS = {field.metadata['flag'] for options in SERVE_OPTIONS for field in option_fields(options)}
FOREIGN_FLAGS = {'dist', 'help', 'helpfull', 'flagfile', 'page', *SERVE_FLAGS}
"""Those of absl, pytest, `pocketflow report` and `pocketflow serve`, which docs/flags.md does not list."""


@functools.cache
def source_names() -> set[str]:
    """The names of all files in the tree."""
    return {
        path.name
        for top in ROOT.iterdir()
        if top.name not in IGNORED
        for path in ([top] if top.is_file() else top.rglob('*'))
    }


def is_there(page: Path, word: str) -> bool:
    """Whether a path-like word of a page names something in the tree, or cannot be meant to."""
    if PLACEHOLDER.search(word.removesuffix('README.md')) or OLD_FORM.fullmatch(word):
        return True
    if word in EXAMPLES.get(name_of(page), ()):
        return True
    if '/' not in word.strip('/'):
        return word in source_names() or (ROOT / word).exists()
    is_ours = (ROOT / word.removeprefix('./').removeprefix('../').split('/')[0]).exists()
    is_ours = is_ours and not word.startswith(IGNORED)
    return not is_ours or any((folder / word).exists() for folder in (page.parent, ROOT, ROOT / 'tests'))


def test_the_reader_of_pages_does_what_its_examples_say():
    result = doctest.testmod(pages)
    assert result.attempted >= 5 and result.failed == 0


def test_what_is_not_there_is_found():
    page = ROOT / 'README.md'
    wrong = ['utils/nothing.py', 'nothing.sh', './scripts/nothing.sh', 'docs/nothing.md', 'learners/nothing/']
    assert [word for word in wrong if is_there(page, word)] == []
    right = ['utils/graph', 'run_local.sh', 'learners/*/', 'nets/resnet_at_cifar10_run.py', 'int4/int8', 'runs/mine']
    assert [word for word in right if not is_there(page, word)] == []


@pytest.mark.parametrize('page', PAGES, ids=name_of)
def test_files_that_are_named_exist(page: Path):
    text = page.read_text(encoding='utf-8')
    assert [word for word in sorted(path_words(text)) if not is_there(page, word)] == []
    assert [target for target in links(text) if not (page.parent / target).exists()] == []


@functools.cache
def known_flags() -> set[str]:
    """The program's flags by the generated page, those of the scripts by their text, and those of absl."""
    text = (ROOT / 'docs' / 'flags.md').read_text(encoding='utf-8')
    scripts = [path for path in (ROOT / 'scripts').rglob('*') if path.suffix in ('.py', '.sh')]
    texts = [path.read_text(encoding='utf-8') for path in scripts]
    declared = {name for text in texts for name in re.findall(r"DEFINE_\w+\(\s*'(\w+)'", text)}
    return flag_words(text) | declared | FOREIGN_FLAGS | set().union(*map(flag_words, texts))


@pytest.mark.parametrize('page', PAGES, ids=name_of)
def test_flags_and_scripts_of_commands_exist(page: Path):
    for command in commands(page.read_text(encoding='utf-8')):
        first, *words = command.split()
        if first == '.venv/bin/python' and words:
            first = words[0]
        if not re.match(r'(\./)?(scripts|main\.py)', first):
            continue
        assert (ROOT / first).is_file(), command
        unknown = flag_words(command) - known_flags()
        assert {name for name in unknown if name.removeprefix('no') not in known_flags()} == set(), command


def test_there_are_commands_to_check():
    found = commands((ROOT / 'README.md').read_text(encoding='utf-8'))
    assert './scripts/run_local.sh' in found and len(found) > 15
