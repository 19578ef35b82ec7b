from __future__ import annotations

import tensorflow as tf
import tf_keras as keras
from tensorflow.python.eager import context

from pocketflow.utils.models.files import load_model, save_model
from pocketflow.utils.models.keras_state import keras_state_kept

layers = keras.layers


def build() -> keras.Model:
    inputs = layers.Input((8, 8, 1))
    features = layers.Conv2D(2, 3)(inputs) + 1.0
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(features)))


def described(model: keras.Model) -> tuple[list[str], list[list[float]]]:
    return [layer.name for layer in model.layers], [weight.flatten().tolist() for weight in model.get_weights()]


def test_models_that_are_read_leave_no_trace_in_those_built_afterwards(tmp_path):
    keras.utils.set_random_seed(3)
    keras.backend.reset_uids()
    expected = described(build()), described(build())
    save_model(build(), tmp_path / 'model.keras')

    keras.utils.set_random_seed(3)
    keras.backend.reset_uids()
    before = context.context()._rng.getstate()
    with keras_state_kept():
        load_model(tmp_path / 'model.keras')
        build()
    assert context.context()._rng.getstate() == before
    first = described(build())
    with keras_state_kept():
        load_model(tmp_path / 'model.keras')
        build()
    assert (first, described(build())) == expected
    assert first != expected[1]


def test_counters_of_new_graphs_are_dropped_and_errors_change_nothing():
    keras.backend.reset_uids()
    try:
        with keras_state_kept(), tf.Graph().as_default() as graph:
            layers.Dense(1)
            raise ValueError
    except ValueError:
        assert not keras.src.backend.PER_GRAPH_OBJECT_NAME_UIDS.get(graph)
    assert layers.Dense(1).name == 'dense'
