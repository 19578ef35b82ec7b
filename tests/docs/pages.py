"""The pages of the documentation: their fenced blocks, and the words that name files and flags."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for pattern in (
        'README.md',
        'CHANGELOG.md',
        'AGENTS.md',
        'docs/*.md',
        'docs/tutorials/*.md',
        '*/README.md',
        'learners/*/README.md',
        'rl_agents/*/*.md',
    )
    for path in ROOT.glob(pattern)
    if path.parts[len(ROOT.parts)] not in ('runs', 'tests') and not path.parts[len(ROOT.parts)].startswith('.')
)
_BLOCK = re.compile(r'^( *)```(\w*)\n(.*?)^ *```$', re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    """The path of a page in the repository."""
    return page.relative_to(ROOT).as_posix()


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block: its language ('' if none is given), its text, and the number of its first line in the page."""

    language: str
    text: str
    line: int


def blocks(text: str) -> list[Block]:
    r"""The fenced blocks of a page, in order.

    >>> blocks('One.\n\n  ```python\n  a = 1\n  ```\n')
    [Block(language='python', text='a = 1\n', line=4)]
    """
    return [
        Block(match[2], textwrap.dedent(match[3]), text[: match.start(3)].count('\n') + 1)
        for match in _BLOCK.finditer(text)
    ]


def with_output(found: list[Block]) -> list[tuple[Block, str | None]]:
    """The Python blocks, each with the text block behind it, if there is one: what it prints."""
    following = [*found[1:], Block('', '', 0)]
    return [
        (block, after.text if after.language == 'text' else None)
        for block, after in zip(found, following, strict=True)
        if block.language == 'python'
    ]


def without_numbers(text: str) -> str:
    """A text whose numbers are each a `#`: what a program prints on any machine.

    >>> without_numbers('0.931, 1,234 bytes')
    '#, # bytes'
    """
    return re.sub(r' *\d[\d,.]*\d| *\d', ' #', text).strip().removeprefix(' ') if text else text


def commands(text: str) -> list[str]:
    r"""The commands of a page's blocks without a language, continuation lines joined, without comments.

    >>> commands('```\n$ a.sh \\\n  --b  # why\nout\n```\n')
    ['a.sh --b', 'out']
    """
    lines = (line for block in blocks(text) if not block.language for line in _joined(block.text).splitlines())
    return [' '.join(re.sub(r'(^|\s)#.*', '', line).removeprefix('$ ').split()) for line in lines if line.strip()]


def _joined(text: str) -> str:
    return re.sub(r'\\\n\s*', ' ', text)


_PATH = re.compile(r'(?<![\w/.<{=:$-])(?:\.{1,2}/)*[\w.*-]+(?:/[\w.*-]+)+/?')
_SOURCE = re.compile(r'(?<![\w/.*-])[\w-]+\.(?:py|sh|flags|md)\b')
_LINK = re.compile(r'\]\(([^)#]+)(?:#[^)]*)?\)')


def links(text: str) -> Iterator[str]:
    """The targets of a page's links within the repository."""
    return (target for target in _LINK.findall(_BLOCK.sub('', text)) if '://' not in target)


def path_words(text: str) -> set[str]:
    """All words of a page that look like a path, and bare names of source files.

    >>> sorted(path_words('See `utils/graph`, a.py and https://x.org/y.py, or --data=some/where.'))
    ['a.py', 'utils/graph']
    """
    text = re.sub(r'\w+://\S+', '', text)
    return {word.rstrip('.') for word in [*_PATH.findall(text), *_SOURCE.findall(text)]}


def flag_words(text: str) -> set[str]:
    """The flags that a text names: `--name` or `--no-name`, without dashes and value.

    >>> sorted(flag_words('`--seed=3` and a.sh --smoke'))
    ['seed', 'smoke']
    """
    return set(re.findall(r'(?<![\w-])--([a-z]\w+)', text))
