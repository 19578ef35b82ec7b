"""Every Python block of docs/python.md, docs/tasks.md, docs/extending.md and README.md runs as it stands."""

from __future__ import annotations

import contextlib
import io
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners import LEARNERS
from pocketflow.nets import PAIRS
from pocketflow.utils.export import program
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.runner import LiteRtRunner
from tests.docs.pages import ROOT, Block, blocks, with_output, without_numbers
from tests.learners.test_contracts import SMALL, LearnerSettings, PairSettings


def python_blocks(name: str) -> list[tuple[Block, str | None]]:
    return with_output(blocks((ROOT / name).read_text(encoding='utf-8')))


def run(block: Block, page: str, names: dict[str, Any]) -> str:
    """Runs a block in a namespace, with the line numbers of its page, and returns what it prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile('\n' * (block.line - 1) + block.text, page, 'exec'), names)
    return out.getvalue()


@pytest.mark.parametrize('page', ['README.md', 'docs/python.md', 'docs/tasks.md'])
def test_the_blocks_are_one_program_that_prints_what_is_shown(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PAIRS, '_entries', dict(PAIRS._entries))
    if page == 'README.md':
        write_inputs(tmp_path)
    names: dict[str, Any] = {'__name__': 'page'}
    found = python_blocks(page)
    assert found
    for block, shown in found:
        printed = run(block, page, names)
        if shown is not None:
            assert without_numbers(printed) == without_numbers(shown)


def write_inputs(folder: Path) -> None:
    """The files that the README's program reads."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(8, 3, activation='relu')(keras.layers.Conv2D(8, 3, activation='relu')(inputs))
    keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Flatten()(x))).save(folder / 'model.keras')
    np.save(folder / 'images.npy', np.random.default_rng(0).normal(size=(20, 8, 8, 3)))


# docs/extending.md adds components file by file.

EXTENDING = 'docs/extending.md'


@pytest.fixture(scope='module')
def added() -> Iterator[dict[str, Any]]:
    """The names that the page's files define; they are modules, and registered, for these tests only."""
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        for registry in (PAIRS, LEARNERS, program.file_formats):
            patch.setattr(registry, '_entries', dict(registry._entries))
        for block, _ in python_blocks(EXTENDING):
            if is_row(block):
                continue
            module = types.ModuleType(module_of(block.text))
            patch.setitem(sys.modules, module.__name__, module)
            surroundings = vars(program) if 'file_formats' in block.text else {'keras': keras, 'np': np, 'Path': Path}
            vars(module).update({**surroundings, '__name__': module.__name__})
            run(block, EXTENDING, vars(module))
            names |= vars(module)
        yield names


def is_row(block: Block) -> bool:
    """Whether a block is a row of a table of the tests."""
    return block.text.startswith("'")


def module_of(text: str) -> str:
    """The name of the module that a block of the page is the text of."""
    starts = {
        '"""Options of the npz files': 'pocketflow.datasets.npz_options',
        '"""Options of the plain network': 'pocketflow.nets.plain_at_npz_options',
        '"""Options of pruning the smallest': 'pocketflow.learners.zero_smallest.options',
        '"""Images and labels': 'pocketflow.datasets.npz_dataset',
        '"""A plain conv': 'pocketflow.nets.plain',
        '"""The plain network at': 'pocketflow.nets.plain_at_npz',
        '"""`zero-smallest`': 'pocketflow.learners.zero_smallest.learner',
    }
    return next((module for start, module in starts.items() if text.startswith(start)), 'page')


def test_the_components_work(added: dict[str, Any], tmp_path: Path):
    folder = added['write_npz'](tmp_path / 'data')
    helper_class = PAIRS.get('plain_at_npz')
    assert helper_class is added['PlainAtNpz']
    data = added['NpzDataset'](added['NpzOptions'](**{**SMALL, 'data_dir_local': str(folder)}))
    images, labels = next(data.ordered_batches('eval').as_numpy_iterator())
    assert images.shape[1:] == (32, 32, 3) and np.abs(images).max() <= 1 and labels.dtype.kind in 'iu'

    model = added['plain']((32, 32, 3), 4)
    learner = LEARNERS.get('zero-smallest')(types.SimpleNamespace(helper=None), added['ZeroSmallestOptions']())
    kernel = learner.compress(model).model.get_layer('conv2').kernel.numpy()
    assert np.count_nonzero(kernel) == kernel.size // 2

    scaled = added['Scale'].from_config(added['Scale'](3.0).get_config())
    assert float(scaled(tf.ones((1, 1)))[0, 0]) == 3.0


def test_the_rows_of_tests_fit_their_tables(added: dict[str, Any]):
    rows = {}
    for block, _ in python_blocks(EXTENDING):
        if is_row(block):
            settings = {'PairSettings': PairSettings, 'LearnerSettings': LearnerSettings, 'SMALL': SMALL}
            rows |= eval(f'{{{block.text}}}', {**added, **settings})
    assert rows['plain_at_npz'].write is added['write_npz'] and rows['zero-smallest'].options == {'share': 0.5}


def test_the_file_format_is_written_and_runs(added: dict[str, Any]):
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.Conv2D(4, 3)(inputs))))
    images = np.random.default_rng(0).normal(size=(8, 4, 4, 1)).astype(np.float32)
    outputs = LiteRtRunner(convert(model, 'int16', images)).predict(images)
    assert np.abs(outputs - model(images)).max() < 0.05 * np.ptp(outputs)
