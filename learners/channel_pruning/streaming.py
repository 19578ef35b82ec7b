"""Runs a model layer by layer over many images, in chunks and with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import tf_keras as keras

from pocketflow.learners.channel_pruning.layerwise import LayerwiseRun
from pocketflow.utils.channels.identities import ChannelGraph, trace
from pocketflow.utils.tasks.nests import Nest, take


class StreamedRun:
    """Runs a model over all images up to each of a sequence of layers, with the weights at that time.

    Between two layers, the feature maps of all images are kept if they fit into `max_bytes`. Otherwise the chunks are
    run again from the last layer whose maps were kept, or from the images, with identical results. Maps are large in
    the first layers of a network, which are recomputed quickly, and small in the later ones.

    Args:
      model: a functional model, or its channel graph.
      images: float32 `[N, height, width, channels]`; several inputs are a dict or tuple of arrays.
      chunks: consecutive slices of the images.
      max_bytes: limit for the feature maps that are kept.
    """

    def __init__(self, model: keras.Model | ChannelGraph, images: Nest, chunks: Sequence[slice], max_bytes: int):
        self._graph, self._images, self._chunks, self._max_bytes = trace(model), images, chunks, max_bytes
        self._kept: list[LayerwiseRun | None] = [None] * len(chunks)

    def until(self, layer: str) -> Iterator[LayerwiseRun]:
        """Yields each chunk, run up to directly before a layer; the iterator must be exhausted."""
        for number, chunk in enumerate(self._chunks):
            kept = self._kept[number]
            run = kept.fork() if kept else LayerwiseRun(self._graph, [take(self._images, chunk)])
            del kept
            run.run_until(layer)
            if run.num_bytes * len(self._chunks) <= self._max_bytes:
                self._kept[number] = run.fork()
            yield run


def chunks(num_images: int, unit: int, image_bytes: int, max_bytes: int) -> list[slice]:
    """Divides images into chunks that do not cross a multiple of `unit`, of at most `max_bytes` or one image.

    >>> chunks(7, 4, 10, 20)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None), slice(6, 7, None)]
    """
    length = max(
        divisor
        for divisor in range(1, unit + 1)
        if unit % divisor == 0 and (divisor == 1 or divisor * image_bytes <= max_bytes)
    )
    return [slice(begin, min(begin + length, num_images)) for begin in range(0, num_images, length)]
