"""The rules of the house hold, and scripts/house.py finds what breaks them on small trees that break one rule each."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketflow.scripts.house import (
    bad_edges,
    cycles,
    flag_readers,
    lines_by_room,
    loose_files,
    module_files,
    slow_options,
    without_test,
)

ROOT = Path(__file__).resolve().parents[2]


def test_the_whole_project_is_read():
    parts = {module.split('.')[0] for module in module_files(ROOT)}
    assert {'main', 'learners', 'nets', 'datasets', 'utils'} <= parts


def test_imports_only_run_downhill():
    assert bad_edges(ROOT) == []


def test_no_module_imports_itself_through_others():
    assert cycles(ROOT) == []


def test_only_main_reads_the_flags():
    assert flag_readers(ROOT) == []


def test_options_load_no_tensorflow():
    assert slow_options(ROOT) == []


# The checker itself, on small trees that break one rule each.

CLEAN = {
    'main.py': 'import pocketflow.learners\nfrom absl import flags\nFLAGS = flags.FLAGS\n',
    'learners/__init__.py': 'from pocketflow.learners import abstract_learner\n'
    'from pocketflow.learners.ws import learner\n',
    'learners/abstract_learner.py': 'from pocketflow.nets import resnet\n'
    'from pocketflow.utils.errors import UsageError\n',
    'learners/ws/__init__.py': '',
    'learners/ws/learner.py': 'from pocketflow.learners import abstract_learner\n'
    'from pocketflow.learners.ws.masks import mask\n',
    'learners/ws/masks.py': 'import numpy\n',
    'learners/cp/__init__.py': '',
    'learners/cp/learner.py': 'from pocketflow.hp_optimizer import tpe\n',
    'nets/__init__.py': '',
    'nets/resnet.py': 'from pocketflow.datasets import cifar10\n',
    'datasets/__init__.py': '',
    'datasets/cifar10.py': 'from pocketflow.utils import errors\n',
    'hp_optimizer/__init__.py': '',
    'hp_optimizer/tpe.py': 'from pocketflow.rl_agents import ddpg\n',
    'rl_agents/__init__.py': '',
    'rl_agents/ddpg.py': '',
    'utils/__init__.py': '',
    'utils/errors.py': '',
    'utils/options.py': 'from pocketflow.utils import errors\n',
}


def write_tree(root: Path, **changed: str) -> Path:
    for name, text in {**CLEAN, **changed}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding='utf-8')
    return root


def test_a_clean_tree_passes(tmp_path: Path):
    root = write_tree(tmp_path)
    assert (bad_edges(root), cycles(root), flag_readers(root)) == ([], [], [])


@pytest.mark.parametrize(
    ('file', 'text', 'edge'),
    [
        ('utils/errors.py', 'import pocketflow.nets.resnet', 'utils.errors imports nets.resnet'),
        (
            'utils/errors.py',
            'from pocketflow.learners import abstract_learner',
            'utils.errors imports learners.abstract_learner',
        ),
        ('utils/errors.py', 'from ..nets import resnet', 'utils.errors imports nets.resnet'),
        (
            'utils/errors.py',
            'def late():\n    from pocketflow.datasets.cifar10 import load',
            'utils.errors imports datasets.cifar10',
        ),
        (
            'utils/errors.py',
            'from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pocketflow.main',
            'utils.errors imports main',
        ),
        ('nets/resnet.py', 'from pocketflow.hp_optimizer import tpe', 'nets.resnet imports hp_optimizer.tpe'),
        ('datasets/cifar10.py', 'from pocketflow.nets.resnet import ResNet', 'datasets.cifar10 imports nets.resnet'),
        ('rl_agents/ddpg.py', 'import pocketflow.hp_optimizer.tpe', 'rl_agents.ddpg imports hp_optimizer.tpe'),
        ('hp_optimizer/tpe.py', 'import pocketflow.nets', 'hp_optimizer.tpe imports nets'),
        ('nets/resnet.py', 'from tests.settings import TINY', 'nets.resnet imports tests'),
        (
            'utils/errors.py',
            "import importlib\nimportlib.import_module('pocketflow.nets.resnet')",
            'utils.errors imports nets.resnet',
        ),
        (
            'learners/cp/learner.py',
            'from pocketflow.learners.ws.masks import mask',
            'learners.cp.learner imports learners.ws.masks',
        ),
        ('learners/cp/learner.py', 'from pocketflow.learners import ws', 'learners.cp.learner imports learners.ws'),
        (
            'learners/abstract_learner.py',
            'from pocketflow.learners.ws import masks',
            'learners.abstract_learner imports learners.ws.masks',
        ),
        ('learners/cp/__init__.py', 'from ..ws import masks', 'learners.cp imports learners.ws.masks'),
    ],
)
def test_a_bad_edge_is_found(tmp_path: Path, file: str, text: str, edge: str):
    assert bad_edges(write_tree(tmp_path, **{file: text})) == [edge]


def test_a_cycle_is_found_and_names_all_its_modules(tmp_path: Path):
    root = write_tree(tmp_path, **{'utils/errors.py': 'from pocketflow.utils import options'})
    assert cycles(root) == ['utils.errors imports itself', 'utils.options imports itself']


def test_what_only_a_type_checker_reads_makes_no_cycle(tmp_path: Path):
    text = 'from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pocketflow.utils import options'
    assert cycles(write_tree(tmp_path, **{'utils/errors.py': text})) == []


@pytest.mark.parametrize(
    'text',
    [
        'from absl import flags\nx = flags.FLAGS.seed',
        'from absl.flags import FLAGS',
        'def read():\n    return FLAGS.seed',
    ],
)
def test_a_reader_of_flags_is_found(tmp_path: Path, text: str):
    found = flag_readers(write_tree(tmp_path, **{'nets/resnet.py': text}))
    assert found and all(place.startswith('nets.resnet:') for place in found)


OPTIONS = 'class SomeOptions(Options):\n    pass\n'


@pytest.mark.parametrize(
    ('changed', 'found'),
    [
        (
            {'learners/ws/masks.py': f'import tensorflow as tf\n{OPTIONS}'},
            ['learners.ws.masks loads tensorflow by way of learners.ws.masks'],
        ),
        (
            {'learners/ws/masks.py': OPTIONS, 'learners/ws/__init__.py': 'from sklearn.svm import SVC'},
            ['learners.ws.masks loads sklearn by way of learners.ws'],
        ),
        (
            {
                'learners/ws/masks.py': f'from pocketflow.utils import options\n{OPTIONS}',
                'utils/errors.py': 'import scipy',
            },
            ['learners.ws.masks loads scipy by way of utils.errors'],
        ),
        (
            {'nets/resnet.py': 'import tf_keras\nX = with_defaults(Y)'},
            ['nets.resnet loads tf_keras by way of nets.resnet'],
        ),
        ({'nets/resnet.py': f'def late():\n    import tf_keras\n\n\n{OPTIONS}'}, []),
        ({'nets/resnet.py': 'import tensorflow'}, []),
    ],
)
def test_options_that_load_tensorflow_are_found(tmp_path: Path, changed: dict[str, str], found: list[str]):
    quiet = {'main.py': '', 'learners/__init__.py': ''}
    assert slow_options(write_tree(tmp_path, **{**quiet, **changed})) == found


def test_the_main_program_loads_no_tensorflow(tmp_path: Path):
    root = write_tree(tmp_path, **{'learners/ws/learner.py': 'import tensorflow\n'})
    assert slow_options(root) == ['main loads tensorflow by way of learners.ws.learner']


def test_a_module_that_is_named_for_later_is_an_edge_and_no_cycle(tmp_path: Path):
    text = "LATE = {'resnet': 'pocketflow.nets.resnet'}"
    assert bad_edges(write_tree(tmp_path, **{'utils/errors.py': text})) == ['utils.errors imports nets.resnet']
    text = "LATE = {'options': 'pocketflow.utils.options'}"
    assert cycles(write_tree(tmp_path, **{'utils/errors.py': text})) == []


def test_files_are_counted_by_room(tmp_path: Path):
    root = write_tree(tmp_path, **{'utils/graph/a.py': 'a = 1\nb = 2\n', 'tests/utils/graph/test_a.py': ''})
    assert lines_by_room(root)['utils/graph'] == (1, 2) and lines_by_room(root)['.'] == (1, 3)
    assert loose_files(root) == ['errors.py', 'options.py']
    assert Path('utils/errors.py') in without_test(root) and Path('utils/graph/a.py') not in without_test(root)
