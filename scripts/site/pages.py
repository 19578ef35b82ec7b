"""Hooks of MkDocs: the site also has the pages of the repository that lie outside of docs/, and what pages link to.

Pages keep the links that work in a checkout; here they are turned into links of the site. The README is the first page,
docs/README.md the list of all pages, and each `learners/NAME/README.md` a method card. Other files that a page links to
become downloads, folders a list of their files.
"""

from __future__ import annotations

import functools
import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files
from pymdownx.slugs import slugify

ROOT = Path(__file__).resolve().parents[2]
INDEX = 'documentation.md'
RENAMED = {'README.md': 'index.md', 'docs/README.md': INDEX}
SOURCES = 'source'
"""Folder of the site for files that are no pages."""

_LINK = re.compile(r'(?<=\]\()([^)\s]+)(?=\))')
_ELSEWHERE = re.compile(r'\w+:|#|/')
_FENCE = re.compile(r'^ *```')


def added_pages(root: Path = ROOT) -> list[str]:
    """The pages outside of docs/, by their paths in the repository."""
    patterns = ('README.md', 'AGENTS.md', 'CHANGELOG.md', '*/README.md', 'learners/*/README.md', 'rl_agents/*/*.md')
    found = {path.relative_to(root).as_posix() for pattern in patterns for path in root.glob(pattern)}
    return sorted(path for path in found if not path.startswith(('.', 'docs/', 'runs/', 'tests/')))


def place_of(path: str) -> str:
    """The place of a page in the site.

    >>> place_of('docs/data.md'), place_of('README.md'), place_of('learners/uniform_quantization/README.md')
    ('data.md', 'index.md', 'learners/uniform_quantization.md')
    """
    if path in RENAMED:
        return RENAMED[path]
    parts = PurePosixPath(path).parts
    if parts[0] == 'learners':
        return f'learners/{parts[1]}.md'
    return path.removeprefix('docs/')


def links(text: str) -> Iterator[str]:
    r"""The links of a page to files of the repository, without those in code.

    >>> list(links('[a](b.md#c) [d](https://e)\n```\n[f](g.md)\n```\n'))
    ['b.md#c']
    """
    for line, is_code in _lines(text):
        if not is_code:
            yield from (link for link in _LINK.findall(line) if not _ELSEWHERE.match(link))


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    is_code = False
    for line in text.splitlines(keepends=True):
        is_fence = _FENCE.match(line) is not None
        yield line, is_code or is_fence
        is_code ^= is_fence


def with_links(text: str, change: Callable[[str], str]) -> str:
    r"""A page whose links to files of the repository are changed.

    >>> with_links('[a](b.md) `c` [d](https://e)', str.upper)
    '[a](B.MD) `c` [d](https://e)'
    """

    def changed(match: re.Match[str]) -> str:
        return match[0] if _ELSEWHERE.match(match[0]) else change(match[0])

    return ''.join(line if is_code else _LINK.sub(changed, line) for line, is_code in _lines(text))


def target_of(page: str, link: str) -> tuple[str, str]:
    """The path in the repository that a link of a page names, and its anchor.

    >>> target_of('docs/data.md', '../zoo/README.md#use')
    ('zoo/README.md', '#use')
    """
    path, mark, anchor = link.partition('#')
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path)), mark + anchor


def listing(folder: str, root: Path = ROOT) -> str:
    """A page for a folder that is linked to: its files."""
    names = sorted(path.name for path in (root / folder).iterdir() if path.is_file())
    return '\n'.join([f'# {folder}', '', *(f'* [{name}]({name})' for name in names)]) + '\n'


class Site:
    """What of the repository is in the site.

    Attributes:
      texts: the text of each page, by its path in the repository.
      files: path of each other file that is linked to -> its place in the site.
      folders: the same, for folders: their place is that of their README, or of a page that lists them.
      listed: the folders without a README.
    """

    def __init__(self, root: Path = ROOT):
        self.root = root
        docs = (path.relative_to(root).as_posix() for path in (root / 'docs').rglob('*.md'))
        self.texts = {path: (root / path).read_text(encoding='utf-8') for path in [*docs, *added_pages(root)]}
        targets = {target_of(page, link)[0] for page, text in self.texts.items() for link in links(text)}
        others = sorted(target for target in targets - set(self.texts) if not target.startswith('..'))
        found = [path for path in others if (root / path).is_dir()]
        self.folders = {
            path: place_of(f'{path}/README.md') if f'{path}/README.md' in self.texts else f'{SOURCES}/{path}/index.md'
            for path in found
        }
        self.listed = [path for path in found if self.folders[path].startswith(SOURCES)]
        names = {f'{folder}/{path.name}' for folder in self.listed for path in (root / folder).iterdir()}
        plain = {path for path in {*others, *names} if (root / path).is_file() and not path.startswith('docs/')}
        self.files = {path: f'{SOURCES}/{path}' for path in sorted(plain)}

    @functools.cached_property
    def places(self) -> Mapping[str, str]:
        """The place of everything, by its path in the repository."""
        return {**{path: place_of(path) for path in self.texts}, **self.files, **self.folders}

    def rewritten(self, page: str) -> str:
        """A page's text with the links of the site; a link to what does not exist stays, and fails the build."""
        places, folder = self.places, posixpath.dirname(place_of(page)) or '.'

        def in_site(link: str) -> str:
            target, anchor = target_of(page, link)
            return posixpath.relpath(places[target], folder) + anchor if target in places else link

        return with_links(self.texts[page], in_site)


def on_config(config: Any) -> Any:
    # Anchors as code hosts make them of headings.
    config['mdx_configs'].setdefault('toc', {})['slugify'] = slugify(case='lower')
    cards = [place_of(path) for path in added_pages() if path.startswith('learners/')]
    for entry in config['nav']:
        if 'Learners' in entry:
            entry['Learners'] = cards
    return config


def on_files(files: Files, config: Any) -> Files:
    site = Site()
    for page in site.texts:
        found = files.get_file_from_path(page.removeprefix('docs/')) if page.startswith('docs/') else None
        if found is not None:  # as it is in docs/, with links that work in a checkout
            files.remove(found)
        files.append(File.generated(config, place_of(page), content=site.rewritten(page)))
    for folder in site.listed:
        files.append(File.generated(config, site.folders[folder], content=listing(folder, site.root)))
    for path, place in site.files.items():
        files.append(File.generated(config, place, abs_src_path=os.fspath(site.root / path)))
    return files
