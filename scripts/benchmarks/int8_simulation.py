"""How far int8 files are from the quantization-aware models that they were made of, for well-known networks.

Each network learns patterns of ten classes with rounded values, and is converted; the file is run by LiteRT and
compared with the model that was trained, relative to the range of its outputs. A rounding that falls the other way in
an early layer may grow on its way through a deep network, whoever computes it. So two further figures are given: how
far two sets of LiteRT's own kernels are apart on the same file, and how far each operation is from its simulation when
both are given the same inputs.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import gc
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pocketflow.scripts.benchmarks.network_coverage import calibrated
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.operators import operator_names
from pocketflow.utils.export.runner import LiteRtRunner, dequantize, quantize
from pocketflow.utils.graph import nodes_in_order
from pocketflow.utils.quantization.int8.inspect import is_wrapped
from pocketflow.utils.quantization.int8.wrapping import quantization_aware
from pocketflow.utils.reports.report import format_table

NUM_CLASSES = 10
BATCH_SIZE = 32
NUM_IMAGES = 320
NUM_TESTED = 48
LEARNING_RATE = 0.05
MOMENTUM = 0.9
"""Of the moving statistics, so that they settle within the steps of this benchmark."""
GOAL = 0.03
"""Of the range of the outputs, the largest difference of any of them."""

SMALL = {'weights': None, 'classes': NUM_CLASSES, 'classifier_activation': None}


def _application(name: str, **options: Any) -> Callable[[int], keras.Model]:
    make = getattr(keras.applications, name)
    return lambda size: make(input_shape=(size, size, 3), **SMALL, **options)


NETWORKS: Mapping[str, Callable[[int], keras.Model]] = {
    'mobilenet_v2': _application('MobileNetV2', alpha=0.35),
    'efficientnet_b0': _application('EfficientNetB0'),
    'mobilenet_v3_small': _application('MobileNetV3Small', include_preprocessing=False),
    'densenet121': _application('DenseNet121'),
    'resnet50v2': _application('ResNet50V2'),
    'xception': _application('Xception'),
}
LEAST_SIZE = {'xception': 71}
"""Smallest images that a network takes."""


def small_network(size: int) -> keras.Model:
    """A convolution, a squeeze-and-excite block, an addition and a classifier, for the smoke test."""
    k = keras.layers
    inputs = keras.Input((size, size, 3))
    features = k.Activation('swish')(k.BatchNormalization()(k.Conv2D(8, 3, strides=2)(inputs)))
    scale = k.Conv2D(4, 1, activation='swish')(k.GlobalAveragePooling2D(keepdims=True)(features))
    scaled = k.Multiply()([features, k.Conv2D(8, 1, activation='sigmoid')(scale)])
    branch = k.ReLU(6.0)(k.BatchNormalization()(k.DepthwiseConv2D(3, padding='same')(scaled)))
    pooled = k.GlobalAveragePooling2D()(k.Add()([features, branch]))
    return keras.Model(inputs, k.Dense(NUM_CLASSES)(pooled), name='small')


def patterns(num_images: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images `[N, size, size, 3]` of values around 0, each a class's coarse pattern with noise; and the classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, NUM_CLASSES, num_images)
    coarse = np.random.default_rng(common.SEED).normal(size=(NUM_CLASSES, 4, 4, 3))[labels]
    images = tf.image.resize(coarse + 0.5 * rng.normal(size=coarse.shape), (size, size)).numpy()
    return (images + 0.2 * rng.normal(size=images.shape)).astype(np.float32), labels


def train(model: keras.Model, images: np.ndarray, labels: np.ndarray, num_steps: int) -> None:
    optimizer = keras.optimizers.SGD(LEARNING_RATE, 0.9)

    @tf.function
    def step(batch: tf.Tensor, expected: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = model(batch, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(expected, logits))
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, model.trainable_variables), 1.0)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    for number in range(num_steps):
        begin = number * BATCH_SIZE % len(images)
        step(images[begin : begin + BATCH_SIZE], labels[begin : begin + BATCH_SIZE])


def reference_kernels(content: bytes, images: np.ndarray) -> np.ndarray:
    """The outputs of a file by LiteRT's kernels of plain C++, which no delegate replaces."""
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = []
    for image in images:
        interpreter.set_tensor(given['index'], quantize(image[None], *given['quantization'], np.int8))
        interpreter.invoke()
        outputs.append(dequantize(interpreter.get_tensor(made['index']), *made['quantization']))
    return np.concatenate(outputs)


Tensor = tuple[str, float, np.ndarray]
"""What has written a tensor of a file, its scale, and its values."""


def tensors_of_file(content: bytes, image: np.ndarray) -> list[Tensor]:
    """All int8 activations of a file for one image, in the order of execution, as the usual kernels compute them."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    graph, names = model.subgraphs[0], operator_names(schema.Model.GetRootAs(content, 0))
    kinds = {int(graph.inputs[0]): 'INPUT'}
    kinds |= {int(place): names[each.opcodeIndex] for each in graph.operators for place in each.outputs}
    graph.outputs, model.signatureDefs = list(kinds)[1:], None
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b'TFL3')
    interpreter = Interpreter(model_content=bytes(builder.Output()))
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    interpreter.set_tensor(given['index'], quantize(image[None], *given['quantization'], np.int8))
    interpreter.invoke()
    details = {each['index']: each for each in (given, *interpreter.get_output_details())}
    return [
        (kind, found['quantization'][0], dequantize(interpreter.get_tensor(place), *found['quantization']))
        for place, kind in kinds.items()
        if (found := details[place])['dtype'] is np.int8
    ]


def match(model: keras.Model, tensors: Sequence[Tensor]) -> Iterator[tuple[Any, Tensor]]:
    """Outputs of the layers that round, each with the first tensor of its size and scale that is not taken yet."""
    left = list(tensors)
    for layer in model.layers:
        if is_wrapped(layer) and layer.simulation.output:
            low, high = layer.range
            size, step = int(np.prod(layer.output.shape[1:])), (high - low) / 255
            for tensor in left:
                if tensor[2].size == size and abs(tensor[1] / step - 1) < 1e-3:
                    left.remove(tensor)
                    yield layer.output, tensor
                    break


def differences_by_operation(model: keras.Model, content: bytes, image: np.ndarray) -> dict[str, tuple[int, int, int]]:
    """For each kind of operation: its outputs, how many differ from the simulation's, by how many steps at most.

    Each operation is simulated from the file's own inputs to it, for one image.
    """
    known = {id(output): tensor for output, tensor in match(model, tensors_of_file(content, image))}
    values: dict[int, tf.Tensor] = {id(tensor): tf.constant(image[None]) for tensor in model.inputs}
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    for node in nodes_in_order(model):
        if node.is_input:
            continue
        arguments, options = node.map_arguments({str(id(one)): [values[id(one)]] for one in node.keras_inputs})
        simulated = node.layer(*arguments, **options)
        if id(node.outputs) in known:
            kind, step, computed = known[id(node.outputs)]
            found[kind].append(np.rint(np.abs(simulated.numpy().ravel() - computed.ravel()) / step))
            simulated = tf.reshape(computed, simulated.shape)
        values[id(node.outputs)] = simulated
    joined = {kind: np.concatenate(parts) for kind, parts in sorted(found.items())}
    return {kind: (len(steps), int((steps > 0).sum()), int(steps.max())) for kind, steps in joined.items()}


def measure_network(model: keras.Model, size: int, num_steps: int) -> dict[str, Any]:
    """Trains a network with rounded values, and compares its file with it."""
    name = model.name
    images, labels = patterns(NUM_IMAGES, size, seed=1)
    tested, expected = patterns(NUM_TESTED, size, seed=2)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM
    model = quantization_aware(calibrated(model, images[:64]), images[:64])
    train(model, images, labels, num_steps)
    simulated = model.predict(tested, verbose=0)
    content = convert(model, 'int8')
    computed, reference = LiteRtRunner(content).predict(tested), reference_kernels(content, tested)
    span = float(np.ptp(simulated))
    difference, kernels = np.abs(computed - simulated) / span, np.abs(computed - reference) / span
    return {
        'network': name,
        'size': size,
        'bytes': len(content),
        'accuracy': float(np.mean(simulated.argmax(1) == expected)),
        'range': span,
        'mean_difference': float(difference.mean()),
        'max_difference': float(difference.max()),
        'same_top1': float(np.mean(simulated.argmax(1) == computed.argmax(1))),
        'mean_between_kernels': float(kernels.mean()),
        'max_between_kernels': float(kernels.max()),
        'operations': differences_by_operation(model, content, tested[0]),
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    networks = {'small': small_network} if arguments.smoke else NETWORKS
    names = arguments.networks.split(',') if arguments.networks else list(networks)
    unknown = next((name for name in names if name not in networks), None)
    if unknown is not None:
        raise UsageError(f'--networks: there is no network {unknown!r}; choose among {", ".join(networks)}')
    rows = []
    for name in names:
        common.say(f'training {name}')
        keras.utils.set_random_seed(common.SEED)
        size = max(arguments.size, LEAST_SIZE.get(name, 0))
        rows.append({**measure_network(networks[name](size), size, arguments.steps), 'network': name})
        common.say(str(rows[-1]))
        keras.backend.clear_session()
        gc.collect()
    _show(rows, arguments)
    return {'steps': arguments.steps, 'rows': rows}


def _show(rows: Sequence[Mapping[str, Any]], arguments: argparse.Namespace) -> None:
    header = ('network', 'size', 'bytes', 'accuracy', 'mean apart', 'max', 'same top-1', 'kernels apart', 'max')
    print(format_table([header, *(_cells(row) for row in rows)]))
    for row in rows:
        shares = (f'{kind} {differ / total:.2%}' for kind, (total, differ, _) in row['operations'].items())
        largest = max(steps for _, _, steps in row['operations'].values())
        print(
            f'{row["network"]}, outputs that differ, given the same inputs, by {largest} at most: {", ".join(shares)}'
        )
    for text, is_met in {
        f'all outputs of file and simulation within {GOAL:g} of the range': all(
            row['max_difference'] <= GOAL for row in rows
        ),
        'on average file and simulation no further apart than two sets of kernels': all(
            row['mean_difference'] <= row['mean_between_kernels'] for row in rows
        ),
        'given the same inputs, no operation more than one step from its simulation': all(
            steps <= 1 for row in rows for _, _, steps in row['operations'].values()
        ),
    }.items():
        print(common.goal(text, is_met, arguments))


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row['network'],
        str(row['size']),
        f'{row["bytes"]:,}',
        f'{row["accuracy"]:.1%}',
        *(f'{row[key]:.4f}' for key in ('mean_difference', 'max_difference')),
        f'{row["same_top1"]:.1%}',
        *(f'{row[key]:.4f}' for key in ('mean_between_kernels', 'max_between_kernels')),
    )


def make_parser() -> common.Parser:
    parser = common.Parser(__doc__.split('\n')[0])
    parser.add_argument('--networks', metavar='NAME,NAME', help=f'among {", ".join(NETWORKS)}; default: all')
    parser.add_number('--steps', 150, 5, f'training steps of {BATCH_SIZE} images')
    parser.add_number('--size', 32, 16, 'height and width of the images, where the network takes such small ones')
    return parser


if __name__ == '__main__':
    sys.exit(common.run('int8_simulation', make_parser(), measure))
