"""The public functions."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.utils.container import TensorRow, limits, load_container, pack, save_container, tensor_table, unpack
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.quantization.encoding import Buckets
from tests.utils.container.samples import assert_same_encoding, assert_same_model, encoded, fill, put, residual_net


def test_a_file_gives_the_model_and_its_encodings_back(net, encodings, tmp_path):
    put(net, encodings)
    path = tmp_path / 'new' / 'model.pfz'
    assert save_container(net, encodings, path) == path.stat().st_size
    assert [file.name for file in path.parent.iterdir()] == ['model.pfz']
    unpacked = load_container(path)
    assert_same_model(unpacked.model, net)
    assert list(unpacked.encodings) == ['stem', 'depthwise', 'conv', 'logits']
    for name, encoding in encodings.items():
        assert_same_encoding(unpacked.encodings[name], encoding)


def test_equal_models_give_equal_bytes(net, encodings):
    put(net, encodings)
    content = pack(net, encodings)
    unpacked = unpack(content)
    assert pack(unpacked.model, unpacked.encodings) == content


@pytest.mark.parametrize('share', [0.0, 0.5, 0.9])
def test_pruned_nets_come_back(net, share):
    kernel = net.get_layer('stem').kernel
    kernel.assign(np.where(np.random.default_rng(0).uniform(size=kernel.shape) < share, 0, kernel.numpy()))
    assert_same_model(unpack(pack(net)).model, net)


def test_the_table_lists_every_weight(net, encodings):
    put(net, encodings)
    net.get_layer('bn').moving_mean.assign(np.zeros(8))
    content = pack(net, encodings)
    rows = tensor_table(content)
    assert [row.name for row in rows] == [weight.name for weight in net.weights]
    assert [row.shape for row in rows] == [tuple(weight.shape) for weight in net.weights]
    forms = {row.name: row.form for row in rows}
    assert forms['stem/kernel:0'] == 'affine' and forms['conv/kernel:0'] == 'codebook'
    assert isinstance(rows[0], TensorRow) and 0 < sum(row.num_bytes for row in rows) < len(content)


def test_codes_take_few_bytes():
    """Against 32 bits per weight; normally distributed codes of 4 bits have an entropy of less than 3.5."""
    net = fill(residual_net())
    buckets = Buckets('channel')
    net.get_layer('stem').kernel.assign(encoded('symmetric', 4, buckets, (3, 3, 3, 8)).decode())
    by_value = {row.name: row.num_bytes for row in tensor_table(pack(net))}['stem/kernel:0']
    by_code = {
        row.name: row.num_bytes
        for row in tensor_table(pack(net, {'stem': encoded('symmetric', 4, buckets, (3, 3, 3, 8))}))
    }['stem/kernel:0']
    assert by_code < 216 / 2 + 8 * 4 + 10 and by_code < by_value


def test_files_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r'none\.pfz: there is no such file; give a \.pfz container'):
        load_container(tmp_path / 'none.pfz')
    path = tmp_path / 'bad.pfz'
    path.write_bytes(b'something else')
    with pytest.raises(PocketFlowError, match=r'bad\.pfz is not a readable \.pfz container: it does not start'):
        load_container(path)
    monkeypatch.setattr('pocketflow.utils.container._MAX_BYTES', 5)
    with pytest.raises(PocketFlowError, match=r'bad\.pfz is not a readable .* it has 14 bytes; at most 5'):
        load_container(path)


def test_a_failed_save_leaves_the_old_file(net, encodings, tmp_path):
    path = tmp_path / 'model.pfz'
    path.write_bytes(b'old')
    with pytest.raises(PocketFlowError, match="layer 'stem'"):
        save_container(net, encodings, path)
    assert path.read_bytes() == b'old'


def test_limits_leave_room_for_real_nets():
    assert limits.MAX_VALUES >= 138_357_544  # VGG-16, the largest of the common ones
