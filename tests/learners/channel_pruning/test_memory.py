"""Memory is estimated before anything starts, and what would fit is said."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.grams import contribution_bytes
from pocketflow.learners.channel_pruning.memory import Demand, require_memory
from pocketflow.utils.errors import UsageError

layers = keras.layers
GIB = 2**30
FLAGS = ('cpr_nb_smpls', 'cpr_skip_op_names')


def demand_of(shape: tuple[int, int, int], *body: keras.layers.Layer) -> Demand:
    model = keras.Sequential([keras.Input(shape), *body])
    names = [layer.name for layer in body if layer.weights]
    return Demand.of(model, names, np.zeros((1, *shape), np.float32), num_positions=10, selector='lasso')


def vgg_head() -> Demand:
    """The first dense layer of VGG-16: 25,088 inputs."""
    return Demand(
        image_bytes=4 * 224 * 224 * 3,
        map_bytes=3 * 4 * 224 * 224 * 64,
        weight_bytes=4 * 138_357_544,
        shapes={'conv5': (4608, 512), 'fc1': (25088, 4096)},
        channels={'conv5': 512, 'fc1': 512},
        rows_per_image={'conv5': 10, 'fc1': 1},
    )


def test_what_a_model_asks_for():
    demand = demand_of(
        (8, 8, 2),
        layers.Conv2D(6, 3, name='conv'),
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.Conv2D(4, 1, name='squeeze'),
        layers.Flatten(),
        layers.Dense(3, name='dense'),
    )
    assert demand.shapes == {'conv': (18, 6), 'squeeze': (6, 4), 'dense': (4, 3)}
    assert demand.rows_per_image == {'conv': 10, 'squeeze': 1, 'dense': 1}
    assert demand.channels == {'conv': 2, 'squeeze': 6, 'dense': 4}
    assert demand.image_bytes == 8 * 8 * 2 * 4
    assert demand.weight_bytes == 4 * (18 * 6 + 6 + 6 * 4 + 4 + 4 * 3 + 3)
    assert demand.largest(100) == 'conv'


def test_the_decision_runs_a_batch_of_images_and_holds_the_statistics_of_all_layers():
    demand = Demand(100, 2**26, 7, {'one': (10, 2), 'two': (1, 1)}, {'one': 10, 'two': 1}, {'one': 1, 'two': 1})
    # Four images fill 2^28 bytes. A of 'one' takes fewer operations than the contributions.
    assert demand.deciding(1000) == 4 * 2**26 + 3 * 8 * (10**2 + 10 * 2) + 8 * (10**2 + 1)
    assert demand.total(3) == 3 * 100 + max(demand.deciding(3), demand.fitting(3))
    assert demand.fitting(3) == 7 + 2 * 2**28 + demand.of_layer('one', 3)


def test_contributions_of_a_grouped_convolution_are_counted_by_group():
    plain, grouped = (Demand(0, 1, 0, {'a': (40, 20)}, {'a': 40}, {'a': 1}, groups={'a': groups}) for groups in (1, 4))
    others = 4 * 1 + 3 * 8 * 40 * 20 + 8 * 40**2  # maps, weights, the Gram matrix itself
    assert plain.deciding(4) - others == contribution_bytes(4, (40, 20), 40)
    assert grouped.deciding(4) - others == contribution_bytes(4, (10, 5), 10)


def test_the_brain_surgeon_asks_for_the_gram_matrix_itself():
    plain = vgg_head()
    obs = dataclasses.replace(plain, needs_gram=True)
    assert obs.of_layer('fc1', 5000) - plain.of_layer('fc1', 5000) == 6 * 8 * 25088**2 - 2 * 2**27
    assert obs.of_layer('conv5', 5000) == plain.of_layer('conv5', 5000)
    require_memory(plain, 5000, *FLAGS, 16 * GIB)
    with pytest.raises(UsageError, match='leave the layer out: --cpr_skip_op_names=fc1$'):
        require_memory(obs, 5000, *FLAGS, 16 * GIB)


def test_enough_memory_says_nothing():
    require_memory(vgg_head(), 5000, *FLAGS, 64 * GIB)
    require_memory(demand_of((8, 8, 2), layers.Conv2D(6, 3)), 5000, *FLAGS)  # this machine


def test_the_number_of_images_that_fits_is_named():
    message = (
        r'^choosing channels on 5000 images would take 13 GB of memory, of which layer fc1 \(25088 weights in '
        r'each of 4096 filters\) 8\.7 GB; 8\.6 GB are available; give --cpr_nb_smpls=(\d+) or less$'
    )
    with pytest.raises(UsageError, match=message) as error:
        require_memory(vgg_head(), 5000, *FLAGS, 8 * GIB)
    fits = int(str(error.value).split('=')[1].split()[0])
    require_memory(vgg_head(), fits, *FLAGS, 8 * GIB)
    assert fits >= 100


def test_a_layer_that_cannot_fit_is_named():
    with pytest.raises(UsageError, match='leave the layer out: --cpr_skip_op_names=fc1$'):
        require_memory(vgg_head(), 5000, *FLAGS, 5 * GIB)


def test_images_alone_can_be_too_many():
    demand = demand_of((64, 64, 3), layers.Conv2D(2, 1, name='small'))
    with pytest.raises(UsageError, match=r'give --cpr_nb_smpls=\d+ or less$'):
        require_memory(demand, 10**6, *FLAGS, GIB)


def test_maps_before_the_pruned_layers_count():
    body = layers.Conv2D(16, 1), layers.MaxPooling2D(8), layers.Conv2D(4, 1, name='last')
    model = keras.Sequential([keras.Input((8, 8, 2)), *body])
    demand = Demand.of(model, ['last'], np.zeros((1, 8, 8, 2), np.float32), num_positions=10, selector='lasso')
    assert demand.map_bytes == 3 * 8 * 8 * 16 * 4
