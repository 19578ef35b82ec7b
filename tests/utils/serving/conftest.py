"""Tiny files, and a stand-in for the parts of MLServer that the runtime imports; the real one: scripts/conformance."""

from __future__ import annotations

import dataclasses
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

LABELS = ('one', 'two', 'three')


class MLModel:
    """As MLServer's: settings, name, version."""

    def __init__(self, settings: Any):
        self._settings = settings
        self.name, self.version = settings.name, settings.parameters.version


class InferenceError(Exception):
    """As MLServer's: answered with 400."""


class Record(types.SimpleNamespace):
    """Any object with attributes; those that are not given are None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith('__'):
            raise AttributeError(name)


def _stand_in() -> dict[str, types.ModuleType]:
    modules = {
        name: types.ModuleType(name) for name in ('mlserver', *(f'mlserver.{n}' for n in ('errors', 'types', 'utils')))
    }
    logged: list[dict[str, float]] = []

    async def get_model_uri(settings: Any) -> str:
        return settings.parameters.uri

    vars(modules['mlserver']).update(
        MLModel=MLModel, logged=logged, register=lambda *_: None, log=lambda **values: logged.append(values)
    )
    vars(modules['mlserver.errors']).update(InferenceError=InferenceError)
    vars(modules['mlserver.types']).update(InferenceRequest=Record, InferenceResponse=Record, ResponseOutput=Record)
    vars(modules['mlserver.utils']).update(get_model_uri=get_model_uri)
    return modules


@pytest.fixture(scope='session')
def runtime() -> Any:
    """The module of the runtime, imported with the stand-in."""
    before = {name: module for name, module in sys.modules.items() if name.split('.')[0] == 'mlserver'}
    sys.modules.update(_stand_in())
    try:
        from pocketflow.utils.serving import pocketflow_runtime
    finally:
        for name in [name for name in sys.modules if name.split('.')[0] == 'mlserver']:
            del sys.modules[name]
        sys.modules.update(before)
    return pocketflow_runtime


@dataclasses.dataclass(frozen=True)
class Files:
    """Files of one dense layer of three values `[N, 4] -> [N, 3]`: float, and int8 with labels."""

    float32: Path
    int8: Path
    resource: Path


@pytest.fixture(scope='session')
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files; `resource` adds the number of former calls, which it keeps in a resource, to `[N, 2]`."""
    import tensorflow as tf
    import tf_keras as keras

    from pocketflow.utils.export.convert import convert
    from pocketflow.utils.export.metadata import Metadata, with_metadata

    folder = tmp_path_factory.mktemp('served')
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,), name='values')
    model = keras.Model(inputs, keras.layers.Dense(3, name='scores')(inputs))
    samples = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    (folder / 'model_float32.tflite').write_bytes(convert(model, 'float32'))
    described = Metadata(labels=LABELS, figures={'metrics': {'accuracy': 0.5}})
    (folder / 'model_int8.tflite').write_bytes(with_metadata(convert(model, 'int8', samples), described))

    class Counter(tf.Module):
        def __init__(self) -> None:
            self.count = tf.Variable(0.0)

        @tf.function(input_signature=[tf.TensorSpec([1, 2], tf.float32, name='x')])
        def count_up(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            result = x + self.count
            self.count.assign_add(1.0)
            return {'y': result}

    counter = Counter()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([counter.count_up.get_concrete_function()], counter)
    converter.experimental_enable_resource_variables = True
    (folder / 'resource.tflite').write_bytes(converter.convert())
    return Files(folder / 'model_float32.tflite', folder / 'model_int8.tflite', folder / 'resource.tflite')
