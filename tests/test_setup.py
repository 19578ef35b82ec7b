"""What setup.py promises: every package is found, and every dependency has a pin that it accepts."""

from __future__ import annotations

import ast
import runpy
import shutil
import subprocess
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


def folders(settings: dict[str, Any]) -> set[str]:
    """The top-level folders that the package consists of."""
    return {package.split('.')[1] for package in settings['packages'] if '.' in package}


def test_everything_that_is_imported_is_a_dependency(settings: dict[str, Any]):
    files = [ROOT / 'main.py', *(file for folder in folders(settings) for file in (ROOT / folder).rglob('*.py'))]
    foreign = {name for file in files for name in imported(file)} - {'pocketflow', *sys.stdlib_module_names}
    providers = {name: set(map(canonicalize_name, packages_distributions().get(name, [name]))) for name in foreign}
    named = {canonicalize_name(requirement.name) for requirement in requirements(settings)}
    assert 'scipy' in foreign and [name for name in foreign if not providers[name] & named] == []


def test_tensorflow_and_its_keras_are_of_one_minor_version():
    assert pins('3.11')['tensorflow'].split('.')[:2] == pins('3.11')['tf-keras'].split('.')[:2]


def test_no_folder_with_code_is_left_out_of_the_package(settings: dict[str, Any]):
    with_code = {
        '.'.join(('pocketflow', *file.parent.relative_to(ROOT).parts))
        for folder in folders(settings)
        for file in (ROOT / folder).rglob('*.py')
    }
    assert with_code - set(settings['packages']) == set()
    assert folders(settings) == {'learners', 'nets', 'datasets', 'hp_optimizer', 'rl_agents', 'utils'}


@pytest.fixture(scope='module')
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment into which the wheel of the tracked files was installed, without dependencies."""
    folder = tmp_path_factory.mktemp('wheel')
    tracked = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, tracked.split('\0')):
        if (ROOT / name).is_file():
            (folder / 'source' / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / 'source' / name)
    pip = [sys.executable, '-m', 'pip', '--quiet', '--disable-pip-version-check']
    subprocess.run(
        [*pip, 'wheel', '--no-build-isolation', '--no-deps', '-w', folder, folder / 'source'],
        check=True,
        capture_output=True,
    )
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', folder / 'venv'], check=True)
    subprocess.run(
        [*pip, '--python', folder / 'venv/bin/python', 'install', '--no-deps', '--no-index', *folder.glob('*.whl')],
        check=True,
        capture_output=True,
    )
    return folder / 'venv'


def test_the_wheel_holds_one_package_with_its_data(installed: Path):
    (packages,) = installed.glob('lib/python*/site-packages')
    assert {path.name.split('-')[0] for path in packages.iterdir()} == {'pocketflow'}
    held = {
        str(path.relative_to(packages / 'pocketflow'))
        for path in (packages / 'pocketflow').rglob('*')
        if path.is_file() and path.suffix != '.pyc'
    }
    assert {
        '__init__.py',
        'main.py',
        'py.typed',
        'utils/reports/templates/report.html',
        'scripts/flags/quickstart.flags',
        'zoo/zoo.json',
        'zoo/resnet20_cifar10.keras',
        'learners/channel_pruning_gpu/README.md',
        'learners/channel_pruning_rmt/README.md',
    } <= held
    assert not [name for name in held if name.startswith(('tests', 'docs', 'examples')) or name == 'setup.py']
    assert (installed / 'bin/pocketflow').is_file()


def test_the_package_is_imported_without_its_dependencies(installed: Path):
    code = 'import pocketflow, sys; print(sorted(pocketflow.__all__)); assert "tensorflow" not in sys.modules'
    out = subprocess.run([installed / 'bin/python', '-c', code], check=True, capture_output=True, text=True, cwd='/')
    assert 'remove_channels' in out.stdout


def test_the_command_starts_main(settings: dict[str, Any]):
    assert settings['entry_points']['console_scripts'] == ['pocketflow = pocketflow.main:console_main']
