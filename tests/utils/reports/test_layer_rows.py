"""The rows of the layer table."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from pocketflow.nets.resnet import resnet
from pocketflow.utils.channels import channel_counts, reader_channels, remove_channels
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.reports.layer_rows import layer_rows
from pocketflow.utils.reports.layer_table import chained_rows, format_rows

layers = keras.layers


def net() -> keras.Model:
    inputs = keras.Input((4, 4, 1))
    features = layers.Conv2D(8, 3, padding='same', name='conv1')(inputs)
    features = layers.ReLU(name='relu')(features)
    features = layers.Conv2D(6, 3, padding='same', name='conv2')(features)
    features = layers.Flatten(name='flatten')(layers.MaxPooling2D(2, name='pool')(features))
    features = layers.Dense(20, activation='relu', name='hidden')(features)
    return keras.Model(inputs, layers.Dense(10, name='logits')(features), name='net')


def rows(kept: dict[str, tuple[int, ...]], skipped: dict[str, str] | None = None) -> list[dict]:
    model = net()
    return layer_rows(model, remove_channels(model, kept), channel_counts(model, kept), skipped or {})


def test_rows_say_what_each_layer_was_and_is():
    table = rows({'conv2': (0, 2, 3)}, {'conv1': 'first convolution'})
    assert table[:2] == [
        {
            'layer': 'conv1',
            'type': 'Conv2D',
            'inputs': [1, 1],
            'outputs': [8, 3],
            'macs': [16 * 9 * 8, 16 * 9 * 3],
            'parameters': [80, 30],
            'note': 'inputs kept: first convolution',
        },
        {
            'layer': 'conv2',
            'type': 'Conv2D',
            'inputs': [8, 3],
            'outputs': [6, 6],
            'macs': [16 * 9 * 8 * 6, 16 * 9 * 3 * 6],
            'parameters': [438, 168],
            'note': '',
        },
    ]
    assert [row['layer'] for row in table] == ['conv1', 'conv2', 'hidden', 'logits']
    assert sum(row['macs'][0] for row in table) == total_macs(net())


def kept_halves(model: keras.Model) -> dict[str, tuple[int, ...]]:
    """The first or the second half of what each convolution reads, in turns."""
    sizes = [
        (name, reader.num_channels // 2)
        for name, reader in reader_channels(model).items()
        if isinstance(model.get_layer(name), layers.Conv2D) and reader.num_channels > 3
    ]
    return {name: tuple(range(index % 2 * half, (index % 2 + 1) * half)) for index, (name, half) in enumerate(sizes)}


def test_channel_selections_count_too():
    model = resnet(8, (32, 32, 3), 10)
    once = kept_halves(model)
    after = remove_channels(model, once)
    smaller = remove_channels(after, kept_halves(after))
    table = layer_rows(model, after, channel_counts(model, once), {})
    selections = [row for row in table if row['note'] == 'channel select']
    assert selections and all(row['type'] == 'ChannelSelect' and row['macs'][0] == 0 for row in selections)
    assert [sum(row['macs'][side] for row in table) for side in (0, 1)] == [total_macs(model), total_macs(after)]
    assert 'channel select' in format_rows(table)
    again = layer_rows(after, smaller, {}, {})
    chained = chained_rows([table, again])
    assert [sum(row['macs'][side] for row in chained) for side in (0, 1)] == [total_macs(model), total_macs(smaller)]


def sequence_net() -> keras.Model:
    """A network with a recurrent layer, an embedding, norms and a layer whose operations are hidden."""
    inputs = keras.Input((6,), name='words')
    features = layers.Embedding(50, 4, name='embedding')(inputs)
    features = layers.BatchNormalization(name='norm')(features)
    features = layers.GRU(5, return_sequences=True, name='gru')(features)
    features = layers.PReLU(name='prelu')(features)
    features = layers.Lambda(lambda x: tf.linalg.inv(x[:, :5]), name='inverse')(features)
    return keras.Model(inputs, layers.Dense(2, name='logits')(layers.Flatten(name='flatten')(features)))


def test_the_totals_are_those_of_the_network_whatever_its_layers():
    model = sequence_net()
    table = layer_rows(model, model, {}, {'gru': 'GRU is not a prunable type'})
    assert [row['layer'] for row in table] == ['embedding', 'gru', 'inverse', 'logits', 'other weights']
    assert [row['macs'][0] for row in table] == [0, 6 * (4 * 15 + 5 * 15), 0, 25 * 2, 0]
    assert [row['parameters'][0] for row in table] == [200, 4 * 15 + 5 * 15 + 2 * 15, 0, 52, 16 + 30]
    assert sum(row['parameters'][1] for row in table) == model.count_params()
    assert sum(row['macs'][1] for row in table) == total_macs(model)
    assert table[1]['note'] == 'skipped because: GRU is not a prunable type'
    assert (table[2]['note'], table[2]['uncounted']) == ('MACs not counted: MatrixInverse', ['MatrixInverse'])
    assert table[4]['type'] == table[4]['note'] == 'BatchNormalization, PReLU'
    assert chained_rows([table]) == chained_rows([table, table]) == table
