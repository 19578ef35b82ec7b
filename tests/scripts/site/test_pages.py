"""The documentation as a site: all pages, whole links, nothing from elsewhere."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pocketflow.scripts.site import pages
from tests.docs.pages import PAGES

ROOT = Path(__file__).resolve().parents[3]
FROM_ELSEWHERE = re.compile(
    r'<(?:script|img|iframe)[^>]* src="?http|<link[^>]*rel="?(?:stylesheet|preload|icon)[^>]*http'
)


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            '-m',
            'mkdocs',
            'build',
            f'--config-file={root}/scripts/site/mkdocs.yml',
            f'--site-dir={site}',
        ],
        env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope='module')
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('site')
    built = build(ROOT, folder)
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_of_the_documentation_is_in_the_site(site: Path):
    for page in PAGES:
        place = pages.place_of(page.relative_to(ROOT).as_posix()).replace('README.md', 'index.md')
        assert (site / place).with_suffix('.html').is_file(), page


def test_links_lead_to_pages_and_files(site: Path):
    data = (site / 'data.html').read_text(encoding='utf-8')
    assert 'href="tasks.html"' in data
    start = (site / 'index.html').read_text(encoding='utf-8')
    assert 'href="data.html#ilsvrc-12-imagenet"' in start and 'id="ilsvrc-12-imagenet"' in data
    assert 'href="learners/channel_pruning_rmt.html"' in start
    assert 'href="source/examples/convnet_at_fmnist.py"' in start
    assert (site / 'source/examples/convnet_at_fmnist.py').read_bytes() == (
        ROOT / 'examples/convnet_at_fmnist.py'
    ).read_bytes()


def test_pages_load_nothing_from_elsewhere(site: Path):
    loading = [page.name for page in site.rglob('*.html') if FROM_ELSEWHERE.search(page.read_text(encoding='utf-8'))]
    assert loading == []


@pytest.mark.parametrize('link', ['nothing.md', 'data.md#nothing', '../learners/nothing/README.md'])
def test_a_broken_link_fails_the_build(link: str, tmp_path: Path):
    unneeded = shutil.ignore_patterns('.*', 'runs', 'tests', '__pycache__')
    shutil.copytree(ROOT, tmp_path / 'copy', ignore=unneeded)
    with (tmp_path / 'copy/docs/check.md').open('a', encoding='utf-8') as page:
        page.write(f'\n[a link]({link})\n')
    built = build(tmp_path / 'copy', tmp_path / 'site')
    assert built.returncode == 1 and link.split('#')[-1].removeprefix('../') in built.stderr


def test_examples():
    result = doctest.testmod(pages)
    assert result.attempted >= 4 and result.failed == 0
