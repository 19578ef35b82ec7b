"""Workers over TensorFlow's own collective operations, for `--engine=tf`."""

from __future__ import annotations

import itertools
import json
import os
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pocketflow.utils.distributed.tf_cluster import local_place
from pocketflow.utils.distributed.values import pack, unpack
from pocketflow.utils.distributed.workers import Workers

GROUP = 7301
EAGER_KEYS = 1 << 30
"""Instance keys of operations outside of `tf.function` begin here, those within end here."""


class TensorFlowWorkers(Workers):
    """Workers that each run a server of TensorFlow, and reduce in a ring.

    The order of the additions in a ring depends only on the ranks: the results are equal on all workers, bit for bit,
    and in each repetition. Tensors travel through the memory of the host, also those of a GPU.

    Args:
      addresses: `host:port` of each worker, by rank.
      rank: of this worker.
    """

    def __init__(self, addresses: Sequence[str], rank: int):
        self.rank, self.size = rank, len(addresses)
        self.local_rank, self.local_size = local_place(addresses, rank)
        os.environ['TF_CONFIG'] = json.dumps(
            {'cluster': {'worker': list(addresses)}, 'task': {'type': 'worker', 'index': rank}}
        )
        # Its construction starts the servers and the service that notices the end of a worker.
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy(
            tf.distribute.cluster_resolver.TFConfigClusterResolver()
        )
        with tf.device('CPU:0'):
            self._token = tf.Variable(0.0, trainable=False)
        self._numbers = itertools.count(1)

    def average(self, tensors: Sequence[tf.Tensor], half: bool = False) -> list[tf.Tensor]:
        tensors = [tf.convert_to_tensor(tensor) for tensor in tensors]
        averages: list[tf.Tensor] = [None] * len(tensors)
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            places = [place for place, tensor in enumerate(tensors) if tensor.dtype == dtype]
            flat = tf.concat([tf.reshape(tensors[place], [-1]) for place in places], 0)
            total = tf.cast(self._sum(tf.cast(flat, tf.float16) if half else flat), dtype)
            sizes = [tf.size(tensors[place]) for place in places]
            parts = tf.split(total / tf.cast(self.size, dtype), tf.stack(sizes), num=len(places))
            for place, part in zip(places, parts, strict=True):
                averages[place] = tf.ensure_shape(tf.reshape(part, tf.shape(tensors[place])), tensors[place].shape)
        return averages

    def gather(self, tensor: tf.Tensor) -> tf.Tensor:
        tensor = tf.convert_to_tensor(tensor)
        words = to_words(tensor)
        with tf.device('CPU:0'):
            gathered = tf.raw_ops.CollectiveGatherV2(
                input=words, communication_hint='ring', **self._keys('gather', words)
            )
        parts = tf.unstack(tf.reshape(gathered, [self.size, -1]), self.size)
        return tf.concat([tf.ensure_shape(from_words(part, tensor), tensor.shape) for part in parts], 0)

    def exchange(self, tensor: tf.Tensor) -> tf.Tensor:
        # By gathering everything: simpler than an all-to-all, and the tensors are compressed ones, which are small.
        length = tensor.shape[0] // self.size
        parts = tf.reshape(self.gather(tensor), [self.size, self.size, length, *tensor.shape[1:]])
        return tf.reshape(parts[:, self.rank], tensor.shape)

    def broadcast(self, variables: Sequence[tf.Variable]) -> None:
        for variable in variables:
            variable.assign(self._from_primary(variable.value()))

    def share(self, make: Callable[[], Any]) -> Any:
        own = pack(make()) if self.is_primary else b''
        length = int(self._from_primary(tf.constant(len(own), tf.int64)))
        content = np.frombuffer(own, np.uint8) if self.is_primary else np.zeros(length, np.uint8)
        return unpack(self._from_primary(tf.constant(content)).numpy().data)

    def _from_primary(self, tensor: tf.Tensor) -> tf.Tensor:
        """The primary's tensor: the sum of its bits, as integers, with the zeros of the others."""
        words = to_words(tensor)
        return from_words(self._sum(words if self.is_primary else tf.zeros_like(words)), tensor)

    def _sum(self, flat: tf.Tensor) -> tf.Tensor:
        with tf.device('CPU:0'):
            return tf.raw_ops.CollectiveReduceV2(
                input=flat, merge_op='Add', final_op='Id', communication_hint='ring', **self._keys('sum', flat)
            )

    def _keys(self, name: str, tensor: tf.Tensor) -> dict[str, Any]:
        """Keys by which the workers recognise an operation.

        Within `tf.function` each operation has a number of its own. Outside, where one is executed at a time, the key
        depends on type and shape only, so that TensorFlow does not keep an entry for each call.
        """
        if tf.executing_eagerly():
            kind = f'{name} {tensor.dtype.name} {tensor.shape}'
            number = EAGER_KEYS + zlib.crc32(kind.encode()) % EAGER_KEYS
        else:
            number = next(self._numbers)
        return {
            'group_size': self.size,
            'group_key': GROUP,
            'instance_key': number,
            'ordering_token': [self._token.handle],
        }


def to_words(tensor: tf.Tensor) -> tf.Tensor:
    """The bytes of a tensor, filled up by zeros: `[...]` -> int32 `[words]`, at least one."""
    tensor = tf.cast(tensor, tf.uint8) if tensor.dtype == tf.bool else tensor
    content = tf.reshape(tf.bitcast(tensor, tf.uint8), [-1])
    missing = tf.where(tf.size(content) == 0, 4, -tf.size(content) % 4)
    return tf.bitcast(tf.reshape(tf.pad(content, [[0, missing]]), [-1, 4]), tf.int32)


def from_words(words: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """The inverse of `to_words`, for a tensor of the type and shape of another."""
    dtype = tf.uint8 if like.dtype == tf.bool else like.dtype
    content = tf.reshape(tf.bitcast(words, tf.uint8), [-1])[: tf.size(like) * dtype.size]
    shape = tf.shape(like) if dtype.size == 1 else tf.concat([tf.shape(like), [dtype.size]], 0)
    return tf.cast(tf.bitcast(tf.reshape(content, shape), dtype), like.dtype)
