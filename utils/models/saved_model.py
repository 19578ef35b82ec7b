"""Reads SavedModel folders of Keras 2: the architecture from Keras' metadata, the weights from the checkpoint.

Functions and graphs of the folder are not loaded. Folders that only hold a graph (those of `model.export`, or of
`tf.saved_model.save`) cannot be converted to layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2, trackable_object_graph_pb2
from tf_keras.protobuf import saved_metadata_pb2

from pocketflow.utils.graph import refresh_derived_values
from pocketflow.utils.models import architecture, hdf5
from pocketflow.utils.models.building import FREE_VALUES, build, with_ordered_layers
from pocketflow.utils.models.errors import UnreadableError
from pocketflow.utils.models.trust import accepts

GRAPH, METADATA, VARIABLES = 'saved_model.pb', 'keras_metadata.pb', Path('variables') / 'variables'
MAX_BYTES = 2**28
"""Size limit of each of the two files that are parsed."""

_OBJECTS = '_CHECKPOINTABLE_OBJECT_GRAPH'
_ROOTS = ('_tf_keras_network', '_tf_keras_sequential')
_GRAPH_ONLY = (
    'it is a SavedModel that holds only a compiled graph, as model.export and tf.saved_model.save write it: layers '
    'cannot be told apart in it; give the model that it was made from, saved by model.save as .keras'
)


def load(path: Path | str) -> keras.Model:
    """Builds the model in a folder, and sets its weights.

    Raises:
      UnreadableError: it holds no Keras model, or names a layer or function that is not accepted.
    """
    folder = Path(path)
    config = _config(folder)
    checkpoint = _Checkpoint(folder / VARIABLES)
    if accepts(config, path):
        ordered = with_ordered_layers(config)
        model = build(lambda: keras.models.model_from_config(ordered), checkpoint.num_values + FREE_VALUES, fill=False)
    else:
        model = keras.models.model_from_config(config)
    if not model.built:
        raise UnreadableError('it is a Sequential model that was never built; begin it with keras.Input(shape)')
    checkpoint.fill(model)
    return model


def _config(folder: Path) -> Any:
    """The architecture in the form of `.h5` files."""
    kind, text = _root(folder)
    if kind not in _ROOTS:
        raise UnreadableError(
            'it is a SavedModel of a subclassed model, whose layers cannot be read; build it with '
            'keras.Model(inputs, outputs)'
            if kind.startswith('_tf_keras')
            else _GRAPH_ONLY
        )
    metadata = architecture.parsed(text)
    if not isinstance(metadata, dict):
        raise UnreadableError('the record of its architecture is no object')
    config = {'class_name': metadata.get('class_name'), 'config': metadata.get('config')}
    return hdf5.plain(architecture.without(config, ('shared_object_id',)))


def _root(folder: Path) -> tuple[str, str]:
    """Type and JSON metadata of the root object."""
    try:
        if (folder / METADATA).is_file():
            nodes = saved_metadata_pb2.SavedMetadata.FromString(_bytes(folder / METADATA)).nodes
            found = [(node.identifier, node.metadata) for node in nodes if node.node_path == 'root']
        else:  # releases before 2.5 store it in the graph's file
            graphs = saved_model_pb2.SavedModel.FromString(_bytes(folder / GRAPH)).meta_graphs
            objects = [graph.object_graph_def.nodes[0].user_object for graph in graphs if graph.object_graph_def.nodes]
            found = [(node.identifier, node.metadata) for node in objects]
    except DecodeError as error:
        raise UnreadableError('it is a SavedModel whose record of the architecture is damaged') from error
    if not found or not found[0][1]:
        raise UnreadableError(_GRAPH_ONLY)
    if len(found[0][1]) > architecture.MAX_BYTES:
        raise UnreadableError(f'its architecture is no text of at most {architecture.MAX_BYTES} bytes')
    return found[0]


def _bytes(file: Path) -> bytes:
    if not file.is_file():
        raise UnreadableError(_GRAPH_ONLY)
    if file.stat().st_size > MAX_BYTES:
        raise UnreadableError(f'its part {file.name} has more than {MAX_BYTES} bytes')
    return file.read_bytes()


class _Checkpoint:
    """The weights of a SavedModel.

    Args:
      prefix: prefix of the checkpoint's files.
    """

    def __init__(self, prefix: Path) -> None:
        files = list(prefix.parent.glob(f'{prefix.name}.data-*'))
        if not (prefix.parent / f'{prefix.name}.index').is_file():
            raise UnreadableError('it is a SavedModel without its folder "variables"')
        try:
            self._reader = tf.train.load_checkpoint(str(prefix))
            shapes = self._reader.get_variable_to_shape_map()
            dtypes = self._reader.get_variable_to_dtype_map()
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            raise UnreadableError('it is a SavedModel whose weights are damaged') from error
        self._shapes = {name: tuple(shape) for name, shape in shapes.items() if dtypes[name] != tf.string}
        declared = sum(_size(shape) * dtypes[name].size for name, shape in self._shapes.items())
        available = sum(file.stat().st_size for file in files)
        if declared > available:
            raise UnreadableError(f'its arrays have {declared} bytes, the files only {available}')
        self._has_objects = _OBJECTS in shapes
        self.num_values = sum(_size(shape) for shape in self._shapes.values())

    def fill(self, model: keras.Model) -> None:
        """Sets all weights of a model; raises an `UnreadableError` if names or shapes differ."""
        keys = list(self._keys())
        if len(keys) != len(model.weights):
            raise UnreadableError(f'it holds {len(keys)} weights, and its architecture has {len(model.weights)}')
        for weight, (key, name) in zip(model.weights, keys, strict=True):
            own = weight.name.split(':')[0].split('/')[-1]
            if self._shapes.get(key) != tuple(weight.shape) or name.split('/')[-1] != own:
                raise UnreadableError(
                    f'its weight {name[:80]!r} of shape {self._shapes.get(key)} does not match '
                    f'{weight.name[:80]!r} of shape {tuple(weight.shape)} in its architecture'
                )
        for weight, (key, _) in zip(model.weights, keys, strict=True):
            weight.assign(tf.cast(self._reader.get_tensor(key), weight.dtype))
        refresh_derived_values(model)

    def _keys(self) -> Iterator[tuple[str, str]]:
        """Checkpoint key and name of each weight, in Keras' order."""
        if not self._has_objects:
            raise UnreadableError(_GRAPH_ONLY)
        try:
            text = self._reader.get_tensor(_OBJECTS)
            nodes = trackable_object_graph_pb2.TrackableObjectGraph.FromString(text).nodes
            root = {child.local_name: child.node_id for child in nodes[0].children}
            listed = {child.local_name: child.node_id for child in nodes[root['variables']].children}
            for place in range(len(listed)):
                attribute = nodes[listed[str(place)]].attributes[0]
                yield attribute.checkpoint_key, attribute.full_name
        except (DecodeError, IndexError, KeyError, tf.errors.OpError) as error:
            raise UnreadableError('it is a SavedModel that does not list the weights of a Keras model') from error


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size
