"""Processor time of a MobileNetV2 with zeros in its 1x1 convolutions: the dense file against the sparse one.

    .venv/bin/python scripts/sparse_inference.py --size=225 --zeros=0.75

The stem is padded explicitly by one pixel on each side, as XNNPACK's rules of sparse inference require; with a size of
32 k + 1 this does not change the outputs.
"""

from __future__ import annotations

import pocketflow.scripts.quiet_tensorflow  # noqa: F401  isort: skip

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter

from pocketflow.utils.export.lint.linter import lint_file
from pocketflow.utils.graph import rebuild
from pocketflow.utils.graph.functional import Call
from pocketflow.utils.reports.lint import sparse_words
from pocketflow.utils.system.quiet import quiet_native_output


def sparse_network(size: int, zeros: float) -> keras.Model:
    """MobileNetV2 with random weights, of which the smallest of each 1x1 convolution are zero."""
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(weights=None, input_shape=(size, size, 3))
    for layer in model.layers:
        if type(layer) is keras.layers.Conv2D and layer.kernel_size == (1, 1):
            kernel = layer.kernel.numpy()
            layer.kernel.assign(np.where(np.abs(kernel) < np.quantile(np.abs(kernel), zeros), 0, kernel))

    def padded(layer: keras.layers.Layer, copy: keras.layers.Layer) -> Call:
        if layer.name != 'Conv1':
            return copy
        stem = keras.layers.Conv2D.from_config({**layer.get_config(), 'padding': 'valid'})
        return lambda images: stem(keras.layers.ZeroPadding2D(1)(images))

    result = rebuild(model, padded)
    result.get_layer('Conv1').set_weights(model.get_layer('Conv1').get_weights())
    return result


def converted(model: keras.Model, is_sparse: bool) -> bytes:
    spec = tf.TensorSpec((1, *model.input_shape[1:]))
    function = tf.function(lambda images: model(images, training=False)).get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY] if is_sparse else []
    with quiet_native_output():
        content: bytes = converter.convert()
    return content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, default=225, help='pixels per side')
    parser.add_argument('--zeros', type=float, default=0.75, help='share of zeros')
    parser.add_argument('--rounds', type=int, default=60, help='runs of each file, in alternation')
    arguments = parser.parse_args()
    model = sparse_network(arguments.size, arguments.zeros)
    images = np.random.default_rng(0).normal(size=(1, *model.input_shape[1:])).astype(np.float32)
    interpreters = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ('dense', 'sparse'):
            path = Path(folder) / f'{name}.tflite'
            path.write_bytes(converted(model, name == 'sparse'))
            sparse = lint_file(path).sparse
            print(f'{name}: {path.stat().st_size:,} bytes; {sparse and sparse_words(sparse.to_json())}', flush=True)
            with quiet_native_output():
                interpreters[name] = Interpreter(str(path), num_threads=1)
                interpreters[name].allocate_tensors()
            interpreters[name].set_tensor(interpreters[name].get_input_details()[0]['index'], images)
    seconds: dict[str, list[float]] = {name: [] for name in interpreters}
    for _ in range(arguments.rounds):
        for name, interpreter in interpreters.items():
            interpreter.invoke()  # brings the weights back into the cache
            begin = time.thread_time()
            interpreter.invoke()
            seconds[name].append(time.thread_time() - begin)
    outputs = [each.get_tensor(each.get_output_details()[0]['index']) for each in interpreters.values()]
    medians = {name: 1000 * float(np.median(values)) for name, values in seconds.items()}
    print(f'largest difference of the outputs: {np.abs(outputs[0] - outputs[1]).max():.2g}')
    print(f'processor time, ms: {medians}; dense / sparse: {medians["dense"] / medians["sparse"]:.2f}')


if __name__ == '__main__':
    main()
