from __future__ import annotations

import json

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning_discrimination.records import BlockRecords, PrunedBlocks
from pocketflow.utils.channels import reader_channels
from pocketflow.utils.graph import copied
from pocketflow.utils.runs.records import DamagedRecordError
from tests.learners.channel_pruning_discrimination.test_heads import net


@pytest.fixture
def model() -> keras.Model:
    return net()


@pytest.fixture
def records(tmp_path, model) -> BlockRecords:
    (tmp_path / 'blocks').mkdir()
    return BlockRecords(tmp_path / 'blocks', model, reader_channels(model))


def changed(model: keras.Model) -> keras.Model:
    copy = copied(model)
    copy.get_layer('b').kernel.assign_add(np.ones(copy.get_layer('b').kernel.shape))
    return copy


def test_before_any_block_there_is_a_copy_of_the_model(records, model):
    state = records.last(3)
    assert state.number == 0 and not state.kept and state.model is not model
    np.testing.assert_array_equal(state.model.get_layer('b').kernel, model.get_layer('b').kernel)


def test_the_last_block_is_read_and_earlier_ones_are_removed(records, model, tmp_path):
    records.save(PrunedBlocks(1, model, {'b': (0, 2)}))
    records.save(PrunedBlocks(2, changed(model), {'b': (0, 2), 'logits': (5,)}))
    assert {path.name for path in (tmp_path / 'blocks').iterdir()} == {'block-2.keras', 'block-2.json'}
    state = records.last(3)
    assert state.number == 2 and state.kept == {'b': (0, 2), 'logits': (5,)}
    np.testing.assert_allclose(state.model.get_layer('b').kernel, model.get_layer('b').kernel.numpy() + 1, rtol=1e-6)


def test_a_model_without_a_record_does_not_count(records, model, tmp_path):
    records.save(PrunedBlocks(1, model, {'b': (0,)}))
    (tmp_path / 'blocks' / 'block-1.json').unlink()
    assert records.last(3).number == 0


@pytest.mark.parametrize(
    ('kept', 'message'),
    [({'b': [0, 99]}, 'b has no such channels in the model'), ({'c': [0]}, 'c has no such'), ([], 'damaged record')],
)
def test_damaged_records(records, model, tmp_path, kept, message):
    records.save(PrunedBlocks(1, model, {}))
    (tmp_path / 'blocks' / 'block-1.json').write_text(json.dumps({'kept': kept}))
    with pytest.raises(DamagedRecordError, match=f'{message}.*; delete the folder .*blocks to choose the channels'):
        records.last(3)


def test_weights_of_another_model(records, tmp_path):
    records.save(PrunedBlocks(1, net(1), {}))
    with pytest.raises(DamagedRecordError, match='block-1.keras: holds the weights of another model'):
        records.last(3)
