"""Prints the structure of the source, and lists violations of its rules.

    python scripts/house.py

Imports only go down the layers `main -> learners -> {hp_optimizer -> rl_agents, nets -> datasets} -> utils`; no learner
imports another one, there are no circular imports, only main.py accesses the flags of absl, and neither main.py nor a
module that declares options loads TensorFlow. The source is parsed; nothing of the project is imported.
"""

from __future__ import annotations

import argparse
import ast
import collections
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# The parts that each part may import, besides itself.
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
SHARED_BY_LEARNERS = {'learners.search', 'learners.program', 'learners.weight_quantization', 'learners.channel_pruning'}
PACKAGE = 'pocketflow'
"""Name of the package; module names here are relative to it."""
TESTS_ONLY = 'tests'
SLOW = {
    'tensorflow',
    'tf_keras',
    'tensorflow_model_optimization',
    'sklearn',
    'scipy',
    'matplotlib',
    'hyperopt',
    'ai_edge_litert',
    'ai_edge_quantizer',
    'PIL',
}
"""Libraries that load slowly; the command line is parsed without them."""


_MODULE = re.compile(rf'{PACKAGE}(\.\w+)+')


def module_files(root: Path) -> dict[str, Path]:
    """The project's modules by dotted name; packages by the name of their folder."""
    files = [root / 'main.py'] + [file for part in BELOW for file in sorted((root / part).rglob('*.py'))]
    return {module_name(file.relative_to(root)): file for file in files if file.is_file()}


def module_name(file: Path) -> str:
    parts = file.with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.unparse(node.test)


def walk(node: ast.AST, running: bool) -> Iterator[ast.AST]:
    """All descendants of a node; with `running`, without blocks of `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if not (running and is_type_checking(child)):
            yield child
            yield from walk(child, running)


def imported(node: ast.AST, module: str, is_package: bool) -> list[str]:
    """The project's names that a statement imports; `from a import b` gives `a.b`, which may be a module."""
    if isinstance(node, ast.ImportFrom) and node.level:
        package = module.split('.') if is_package else module.split('.')[:-1]
        base = '.'.join(filter(None, [*package[: len(package) + 1 - node.level], node.module or '']))
        return [f'{base}.{alias.name}' for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        names = [f'{node.module}.{alias.name}' for alias in node.names]
    elif isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        names = [node.args[0].value] if is_dynamic_import(node) else []
    return [name.removeprefix(f'{PACKAGE}.') for name in names if name.split('.')[0] in (PACKAGE, TESTS_ONLY)]


def is_dynamic_import(node: ast.AST) -> bool:
    """Whether a node is `importlib.import_module('a.b')`."""
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith('import_module')
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
    )


def late_import(node: ast.AST) -> list[str]:
    """The module named by a string in a declaration, which is imported on first use."""
    is_name = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return [node.value.removeprefix(f'{PACKAGE}.')] if is_name and _MODULE.fullmatch(node.value) else []


def resolve(name: str, modules: Mapping[str, Path]) -> str | None:
    """The longest prefix of a dotted name that is a module of the project."""
    parts = name.split('.')
    prefixes = ('.'.join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in modules), None)


def edges(modules: Mapping[str, Path], running: bool = False) -> dict[str, set[str]]:
    """Module -> the project's modules that it imports, anywhere in its file."""
    found: dict[str, set[str]] = {}
    for module, file in modules.items():
        nodes = list(walk(ast.parse(file.read_text(encoding='utf-8')), running))
        names = [name for node in nodes for name in imported(node, module, file.name == '__init__.py')]
        names += [] if running else [name for node in nodes for name in late_import(node)]
        targets = {target for name in names if (target := outside_or_module(name, modules))}
        found[module] = targets - {module}
    return found


def outside_or_module(name: str, modules: Mapping[str, Path]) -> str | None:
    if name.split('.')[0] == TESTS_ONLY:
        return TESTS_ONLY
    return resolve(name, modules)


def folder_of_learner(module: str, modules: Mapping[str, Path]) -> str | None:
    """`learners.channel_pruning_rmt` for all modules in that folder, None for the shared files of `learners`."""
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
    return [
        f'{source} imports {target}'
        for source, targets in edges(modules).items()
        for target in sorted(targets)
        if not is_allowed(source, target, modules)
    ]


def cycles(root: Path) -> list[str]:
    """One line for each module in a circular import; packages count only if they are named in the import."""
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


def slow_options(root: Path) -> list[str]:
    """main.py and the modules that declare options, if they load a slow library."""
    modules = module_files(root)
    trees = {module: ast.parse(file.read_text(encoding='utf-8')) for module, file in modules.items()}
    graph = {module: loaded_modules(tree, module, modules) for module, tree in trees.items()}
    slow = {module: found for module, tree in trees.items() if (found := slow_libraries(tree))}
    quick = [module for module, tree in trees.items() if module == 'main' or declares_options(module, tree)]
    return [
        f'{module} loads {", ".join(sorted(slow[target]))} by way of {target}'
        for module in quick
        for target in sorted({module, *reachable(module, graph)} & set(slow))
    ]


def declares_options(module: str, tree: ast.AST) -> bool:
    """Whether a module of the package defines an options class."""
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return module.split('.')[0] not in ('examples', 'scripts') and (
        any(ast.unparse(base).endswith('Options') for node in classes for base in node.bases)
        or any(ast.unparse(node.func) == 'with_defaults' for node in calls)
    )


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The descendants of a node that run when a module is imported: not those in functions."""
    for child in ast.iter_child_nodes(node):
        if not is_type_checking(child) and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from at_import(child)


def loaded_modules(tree: ast.AST, module: str, modules: Mapping[str, Path]) -> set[str]:
    """The project's modules that a module imports when it is loaded, and the parent packages of all of them."""
    is_package = modules[module].name == '__init__.py'
    names = (name for node in at_import(tree) for name in imported(node, module, is_package))
    targets = {module, *(target for name in names if (target := resolve(name, modules)))}
    parents = {'.'.join(target.split('.')[:length]) for target in targets for length in range(1, target.count('.') + 1)}
    return (targets | (parents & set(modules))) - {module}


def slow_libraries(tree: ast.AST) -> set[str]:
    """The slow libraries that a module imports directly when it is loaded."""
    found = set()
    for node in at_import(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split('.')[0])
    return found & SLOW


def flag_readers(root: Path) -> list[str]:
    """Places other than main.py that access absl's parsed flags."""
    return [
        f'{module}:{node.lineno}'
        for module, file in module_files(root).items()
        if module != 'main'
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8')))
        if names_flags(node)
    ]


def names_flags(node: ast.AST) -> bool:
    return (
        (isinstance(node, ast.Name) and node.id == 'FLAGS')
        or (isinstance(node, ast.Attribute) and node.attr == 'FLAGS')
        or (isinstance(node, ast.ImportFrom) and any(alias.name == 'FLAGS' for alias in node.names))
    )


def room_of(file: Path) -> str:
    """`utils/channels` for a file two or more folders deep, `nets` for one in that folder."""
    return '/'.join(file.parts[:-1][:2]) or '.'


def lines_by_room(root: Path) -> dict[str, tuple[int, int]]:
    """(number of files, number of lines) of each room of the package."""
    found: dict[str, tuple[int, int]] = collections.defaultdict(lambda: (0, 0))
    for file in package_files(root):
        num_files, num_lines = found[room_of(file)]
        found[room_of(file)] = num_files + 1, num_lines + count_lines(root / file)
    return dict(sorted(found.items()))


def package_files(root: Path) -> list[Path]:
    """The modules of the package relative to the root, without scripts, examples and tests."""
    files = (file.relative_to(root) for file in module_files(root).values())
    return [file for file in files if file.parts[0] not in ('scripts', 'examples')]


def count_lines(file: Path) -> int:
    return len(file.read_text(encoding='utf-8').splitlines())


def loose_files(root: Path) -> list[str]:
    """Modules directly in `utils/`."""
    return [file.name for file in package_files(root) if file.parent == Path('utils') and file.name != '__init__.py']


def to_be_tested(root: Path) -> list[Path]:
    """Modules that have a test file of their own: all but `__init__.py` and those that only declare options."""
    return [file for file in package_files(root) if file.name != '__init__.py' and not file.stem.endswith('options')]


def without_test(root: Path) -> list[Path]:
    """Modules to be tested without a test file at the same path in `tests/`."""
    return [file for file in to_be_tested(root) if not (root / 'tests' / file.parent / f'test_{file.name}').is_file()]


def report(root: Path) -> Iterator[str]:
    """The lines that the program prints."""
    for room, (num_files, num_lines) in lines_by_room(root).items():
        yield f'{room:40} {num_files:4} files {num_lines:6} lines'
    files = package_files(root)
    largest = max(files, key=lambda file: count_lines(root / file))
    untested = without_test(root)
    yield f'loose files in utils: {len(loose_files(root))} ({", ".join(loose_files(root))})'
    yield f'largest file: {largest}, {count_lines(root / largest)} lines'
    yield f'modules with a test file of their own: {1 - len(untested) / len(to_be_tested(root)):.1%}'
    yield from (f'  without: {file}' for file in untested)
    yield f'imports uphill: {len(bad_edges(root))}'
    yield from (f'  {edge}' for edge in bad_edges(root))
    yield f'modules in circles: {len(cycles(root))}'
    yield from (f'  {line}' for line in cycles(root))
    yield f'options modules that load TensorFlow: {len(slow_options(root))}'
    yield from (f'  {line}' for line in slow_options(root))


if __name__ == '__main__':
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print('\n'.join(report(ROOT)))
    sys.exit(1 if bad_edges(ROOT) or cycles(ROOT) or slow_options(ROOT) else 0)
