"""What setup.py promises: every package is found, and every dependency has a pin that it accepts."""

from __future__ import annotations

import ast
import runpy
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ('3.10', '3.11', '3.12', '3.13')


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments that setup.py gives to `setup`."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, 'setup', lambda **arguments: given.update(arguments))
    monkeypatch.chdir(ROOT)
    runpy.run_path('setup.py')
    return given


def requirements(settings: dict[str, Any]) -> list[Requirement]:
    groups = [settings['install_requires'], *settings['extras_require'].values()]
    return [Requirement(text) for group in groups for text in group]


def pins(python: str) -> dict[str, str]:
    """The pinned version by name, for one version of Python."""
    lines = (ROOT / 'constraints.txt').read_text(encoding='utf-8').splitlines()
    parsed = [Requirement(line) for line in lines if not line.startswith('#')]
    chosen = [pin for pin in parsed if not pin.marker or pin.marker.evaluate({'python_version': python})]
    names = [canonicalize_name(pin.name) for pin in chosen]
    assert len(names) == len(set(names))
    return {name: str(pin.specifier).removeprefix('==') for name, pin in zip(names, chosen, strict=True)}


@pytest.mark.parametrize('python', PYTHONS)
def test_every_dependency_is_pinned_within_its_range(settings: dict[str, Any], python: str):
    pinned = pins(python)
    for requirement in requirements(settings):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def imported(file: Path) -> Iterator[str]:
    """The top-level names of all modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split('.')[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split('.')[0]


def test_everything_that_is_imported_is_a_dependency(settings: dict[str, Any]):
    parts = {package.split('.')[0] for package in settings['packages']}
    names = {name for part in parts for file in (ROOT / part).rglob('*.py') for name in imported(file)}
    foreign = names - parts - set(sys.stdlib_module_names)
    providers = {name: set(map(canonicalize_name, packages_distributions().get(name, [name]))) for name in foreign}
    named = {canonicalize_name(requirement.name) for requirement in requirements(settings)}
    assert 'scipy' in foreign and [name for name in foreign if not providers[name] & named] == []


def test_tensorflow_and_its_keras_are_of_one_minor_version():
    assert pins('3.11')['tensorflow'].split('.')[:2] == pins('3.11')['tf-keras'].split('.')[:2]


def test_no_folder_with_code_is_left_out_of_the_package(settings: dict[str, Any]):
    parts = {package.split('.')[0] for package in settings['packages']}
    with_code = {'.'.join(file.parent.relative_to(ROOT).parts) for part in parts
                 for file in (ROOT / part).rglob('*.py')}
    assert with_code - set(settings['packages']) == set()
    assert {'learners', 'nets', 'datasets', 'utils'} <= parts
    assert 'tests' not in parts and 'scripts' not in parts


def test_the_command_starts_main(settings: dict[str, Any]):
    assert settings['py_modules'] == ['main']
    assert settings['entry_points']['console_scripts'] == ['pocketflow = main:console_main']
