"""Mean of one vector per worker, sent as codes: by an all-gather of all codes, or chunk by chunk."""

from __future__ import annotations

import tensorflow as tf

from pocketflow.utils.distributed.gradient_compression.codec import Codec
from pocketflow.utils.distributed.gradient_compression.feedback import compensated, next_error
from pocketflow.utils.distributed.gradient_compression.options import NUM_CODES, CompressionOptions
from pocketflow.utils.distributed.multi_gpu_wrapper import Workers


def bytes_received(exchange: str, num_bytes: int, num_workers: int) -> float:
    """Bytes received per worker and step, if one encoded vector has `num_bytes`.

    With `gather` each worker receives the codes of all others, N - 1 vectors. With `chunked` it receives its chunk (1/N
    of a vector) from N - 1 others, and then the N - 1 other chunks of the mean: 2 (N - 1) / N vectors, as in a ring
    all-reduce.

    >>> bytes_received('gather', 100, 5), bytes_received('chunked', 100, 5)
    (400, 160.0)
    """
    return num_bytes * (num_workers - 1) * (1 if exchange == 'gather' else 2 / num_workers)


def choose_exchange(wanted: str, num_workers: int) -> str:
    """Resolves `--ecq_exchange` to `'gather'` or `'chunked'`.

    The chunked exchange rounds twice and has two collectives, so `auto` selects it only if it saves more than half of
    the bytes: (N - 1) > 2 * 2 (N - 1) / N, which is N > 4.
    """
    if wanted != 'auto':
        return wanted
    return (
        'chunked'
        if bytes_received('gather', 1, num_workers) > 2 * bytes_received('chunked', 1, num_workers)
        else ('gather')
    )


class Exchange:
    """Mean of the workers' vectors `[length]`, each rounded to a grid.

    Args:
      workers: the workers.
      length: length of the vectors.
      options: grid, buckets, error feedback.

    Attributes:
      error: `[chunk]`, accumulated rounding error of the means that this worker sends; empty if it sends none.
    """

    def __init__(self, workers: Workers, length: int, options: CompressionOptions):
        self.workers, self.length, self.options = workers, length, options
        self.chunk = self._chunk_length()
        self.codec = Codec(self.chunk or length, NUM_CODES[options.bits], options.bucket_size)
        self.error = tf.Variable(tf.zeros([self.chunk]), trainable=False, name='chunk_error')

    def _chunk_length(self) -> int:
        return 0

    def mean(self, vector: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the mean of the workers' rounded vectors, and this worker's rounded vector, both `[length]`."""
        gathered = self.workers.gather(self.codec.encode(vector, seed))
        decoded = self.codec.decode(tf.reshape(gathered, (self.workers.size, self.codec.num_bytes)))
        return tf.reduce_mean(decoded, axis=0), decoded[self.workers.rank]


class ChunkedExchange(Exchange):
    """Exchange in which each worker averages one chunk and sends its mean, rounded again, to the others.

    The worker that averages a chunk also compensates the error of the second rounding.
    """

    def _chunk_length(self) -> int:
        return -(-self.length // self.workers.size)

    def mean(self, vector: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        size, codec = self.workers.size, self.codec
        chunks = tf.reshape(tf.pad(vector, [[0, size * self.chunk - self.length]]), (size, self.chunk))
        sent = tf.stack([codec.encode(chunks[index], seed + [2 + index, 0]) for index in range(size)])
        received = tf.reshape(self.workers.exchange(tf.reshape(sent, [-1])), (size, codec.num_bytes))
        own_mean = tf.reduce_mean(codec.decode(received), axis=0)
        encoded = codec.encode(compensated(own_mean, self.error, self.options.error_coeff), seed + [1, 0])
        own_sent = codec.decode(encoded[tf.newaxis])[0]
        self.error.assign(next_error(own_mean, own_sent, self.error, self.options.error_decay))
        means = codec.decode(tf.reshape(self.workers.gather(encoded), (size, codec.num_bytes)))
        return self._joined(means), self._joined(codec.decode(sent))

    def _joined(self, chunks: tf.Tensor) -> tf.Tensor:
        return tf.reshape(chunks, [-1])[: self.length]
