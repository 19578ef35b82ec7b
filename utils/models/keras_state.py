"""Keras' global state, on which new layers depend: the generator of seeds and the counters of names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tf_keras.src import backend


@contextlib.contextmanager
def keras_state_kept() -> Iterator[None]:
    """Restores Keras' global state at the end of the block.

    Initializers and random layers without a seed draw one from the generator, and layers without a name get a numbered
    one. Where models are only read, this should not affect layers that are built afterwards: whether a model is read
    depends on files that a run has already written.
    """
    generator = getattr(backend._SEED_GENERATOR, 'generator', None)
    state = None if generator is None else generator.getstate()
    counters = {graph: dict(numbers) for graph, numbers in backend.PER_GRAPH_OBJECT_NAME_UIDS.items()}
    names = set(backend.OBSERVED_NAMES)
    try:
        yield
    finally:
        if generator is not None:
            generator.setstate(state)
        for graph, numbers in backend.PER_GRAPH_OBJECT_NAME_UIDS.items():
            numbers.clear()
            numbers.update(counters.get(graph, {}))
        backend.OBSERVED_NAMES.clear()
        backend.OBSERVED_NAMES.update(names)
