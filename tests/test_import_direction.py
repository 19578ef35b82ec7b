"""The house rules that can be read off the source: who imports whom, no cycles, absl's FLAGS only in main.py.

`main -> learners -> {hp_optimizer -> rl_agents, nets -> datasets} -> utils`; no learner imports another one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# What each part of the house may import, besides itself.
BELOW = {
    'utils': set(),
    'datasets': {'utils'},
    'nets': {'datasets', 'utils'},
    'rl_agents': {'utils'},
    'hp_optimizer': {'rl_agents', 'utils'},
    'learners': {'hp_optimizer', 'rl_agents', 'nets', 'datasets', 'utils'},
}
BELOW['main'] = {*BELOW}
BELOW['examples'] = BELOW['scripts'] = {'main', *BELOW['main']}
SHARED_BY_LEARNERS = {'learners.search'}
TESTS_ONLY = 'tests'


def module_files(root: Path) -> dict[str, Path]:
    """The project's modules by dotted name; a package goes by its own name."""
    files = [root / 'main.py'] + [file for part in BELOW for file in sorted((root / part).rglob('*.py'))]
    return {module_name(file.relative_to(root)): file for file in files if file.is_file()}


def module_name(file: Path) -> str:
    parts = file.with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.unparse(node.test)


def walk(node: ast.AST, running: bool) -> Iterator[ast.AST]:
    """All nodes below one; with `running`, without what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if not (running and is_type_checking(child)):
            yield child
            yield from walk(child, running)


def imported(node: ast.AST, module: str, is_package: bool) -> list[str]:
    """The dotted names one statement asks for; `from a import b` asks for `a.b`, which may be a module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ''
    if node.level:
        package = module.split('.') if is_package else module.split('.')[:-1]
        base = '.'.join(filter(None, [*package[:len(package) + 1 - node.level], base]))
    return [f'{base}.{alias.name}' for alias in node.names]


def resolve(name: str, modules: Mapping[str, Path]) -> str | None:
    """The longest prefix of a dotted name that is a module of the project."""
    parts = name.split('.')
    prefixes = ('.'.join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in modules), None)


def edges(modules: Mapping[str, Path], running: bool = False) -> dict[str, set[str]]:
    """Which modules of the project each one imports, anywhere in its file."""
    found: dict[str, set[str]] = {}
    for module, file in modules.items():
        names = (name for node in walk(ast.parse(file.read_text(encoding='utf-8')), running)
                 for name in imported(node, module, file.name == '__init__.py'))
        targets = {target for name in names if (target := outside_or_module(name, modules))}
        found[module] = targets - {module}
    return found


def outside_or_module(name: str, modules: Mapping[str, Path]) -> str | None:
    if name.split('.')[0] == TESTS_ONLY:
        return TESTS_ONLY
    return resolve(name, modules)


def folder_of_learner(module: str, modules: Mapping[str, Path]) -> str | None:
    """`learners.channel_pruning` for all that lies in that folder, `None` for the files they share."""
    package = '.'.join(module.split('.')[:2])
    is_folder = package in modules and modules[package].name == '__init__.py'
    return package if package.startswith('learners.') and is_folder and package not in SHARED_BY_LEARNERS else None


def is_allowed(source: str, target: str, modules: Mapping[str, Path]) -> bool:
    part, other = source.split('.')[0], target.split('.')[0]
    if part != other:
        return other in BELOW[part]
    here, there = (folder_of_learner(module, modules) for module in (source, target))
    return there is None or here == there or source == 'learners'


def bad_edges(root: Path) -> list[str]:
    modules = module_files(root)
    return [f'{source} imports {target}' for source, targets in edges(modules).items()
            for target in sorted(targets) if not is_allowed(source, target, modules)]


def cycles(root: Path) -> list[str]:
    """One line for each module that ends up importing itself; packages only count where they are named."""
    graph = edges(module_files(root), running=True)
    return [f'{module} imports itself' for module in sorted(graph) if module in reachable(module, graph)]


def reachable(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph.get(waiting.pop(), set()) - seen
        seen |= new
        waiting += new
    return seen


def flag_readers(root: Path) -> list[str]:
    """Where the parsed command line is read outside main.py."""
    return [f'{module}:{node.lineno}' for module, file in module_files(root).items() if module != 'main'
            for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))) if names_flags(node)]


def names_flags(node: ast.AST) -> bool:
    return ((isinstance(node, ast.Name) and node.id == 'FLAGS')
            or (isinstance(node, ast.Attribute) and node.attr == 'FLAGS')
            or (isinstance(node, ast.ImportFrom) and any(alias.name == 'FLAGS' for alias in node.names)))


def test_the_whole_project_is_read():
    parts = {module.split('.')[0] for module in module_files(ROOT)}
    assert {'main', 'learners', 'nets', 'datasets', 'utils'} <= parts


def test_imports_only_run_downhill():
    assert bad_edges(ROOT) == []


def test_no_module_imports_itself_through_others():
    assert cycles(ROOT) == []


def test_only_main_reads_the_flags():
    assert flag_readers(ROOT) == []


# The checker itself, on small trees that break one rule each.

CLEAN = {
    'main.py': 'import learners\nfrom absl import flags\nFLAGS = flags.FLAGS\n',
    'learners/__init__.py': 'from learners import abstract_learner\nfrom learners.ws import learner\n',
    'learners/abstract_learner.py': 'from nets import resnet\nfrom utils.errors import UsageError\n',
    'learners/ws/__init__.py': '',
    'learners/ws/learner.py': 'from learners import abstract_learner\nfrom learners.ws.masks import mask\n',
    'learners/ws/masks.py': 'import numpy\n',
    'learners/cp/__init__.py': '',
    'learners/cp/learner.py': 'from hp_optimizer import tpe\n',
    'nets/__init__.py': '',
    'nets/resnet.py': 'from datasets import cifar10\n',
    'datasets/__init__.py': '',
    'datasets/cifar10.py': 'from utils import errors\n',
    'hp_optimizer/__init__.py': '',
    'hp_optimizer/tpe.py': 'from rl_agents import ddpg\n',
    'rl_agents/__init__.py': '',
    'rl_agents/ddpg.py': '',
    'utils/__init__.py': '',
    'utils/errors.py': '',
    'utils/options.py': 'from utils import errors\n',
}


def write_tree(root: Path, **changed: str) -> Path:
    for name, text in {**CLEAN, **changed}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding='utf-8')
    return root


def test_a_clean_tree_passes(tmp_path: Path):
    root = write_tree(tmp_path)
    assert (bad_edges(root), cycles(root), flag_readers(root)) == ([], [], [])


@pytest.mark.parametrize(('file', 'text', 'edge'), [
    ('utils/errors.py', 'import nets.resnet', 'utils.errors imports nets.resnet'),
    ('utils/errors.py', 'from learners import abstract_learner',
     'utils.errors imports learners.abstract_learner'),
    ('utils/errors.py', 'from ..nets import resnet', 'utils.errors imports nets.resnet'),
    ('utils/errors.py', 'def late():\n    from datasets.cifar10 import load',
     'utils.errors imports datasets.cifar10'),
    ('utils/errors.py', 'from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import main',
     'utils.errors imports main'),
    ('nets/resnet.py', 'from hp_optimizer import tpe', 'nets.resnet imports hp_optimizer.tpe'),
    ('datasets/cifar10.py', 'from nets.resnet import ResNet', 'datasets.cifar10 imports nets.resnet'),
    ('rl_agents/ddpg.py', 'import hp_optimizer.tpe', 'rl_agents.ddpg imports hp_optimizer.tpe'),
    ('hp_optimizer/tpe.py', 'import nets', 'hp_optimizer.tpe imports nets'),
    ('nets/resnet.py', 'from tests.settings import TINY', 'nets.resnet imports tests'),
    ('learners/cp/learner.py', 'from learners.ws.masks import mask',
     'learners.cp.learner imports learners.ws.masks'),
    ('learners/cp/learner.py', 'from learners import ws', 'learners.cp.learner imports learners.ws'),
    ('learners/abstract_learner.py', 'from learners.ws import masks',
     'learners.abstract_learner imports learners.ws.masks'),
    ('learners/cp/__init__.py', 'from ..ws import masks', 'learners.cp imports learners.ws.masks'),
])
def test_a_bad_edge_is_found(tmp_path: Path, file: str, text: str, edge: str):
    assert bad_edges(write_tree(tmp_path, **{file: text})) == [edge]


def test_a_cycle_is_found_and_names_all_its_modules(tmp_path: Path):
    root = write_tree(tmp_path, **{'utils/errors.py': 'from utils import options'})
    assert cycles(root) == ['utils.errors imports itself', 'utils.options imports itself']


def test_what_only_a_type_checker_reads_makes_no_cycle(tmp_path: Path):
    text = 'from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from utils import options'
    assert cycles(write_tree(tmp_path, **{'utils/errors.py': text})) == []


@pytest.mark.parametrize('text', [
    'from absl import flags\nx = flags.FLAGS.seed',
    'from absl.flags import FLAGS',
    'def read():\n    return FLAGS.seed',
])
def test_a_reader_of_flags_is_found(tmp_path: Path, text: str):
    found = flag_readers(write_tree(tmp_path, **{'nets/resnet.py': text}))
    assert found and all(place.startswith('nets.resnet:') for place in found)
