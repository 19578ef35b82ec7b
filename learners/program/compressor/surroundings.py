"""What a run must leave as it was in a program that calls it: signals and random numbers."""

from __future__ import annotations

import contextlib
import random
import signal
from collections.abc import Iterator

import numpy as np

from pocketflow.utils.system import interrupts


@contextlib.contextmanager
def signals_passed_on() -> Iterator[None]:
    """A signal for which the block has stopped is sent again, to the handlers of the program.

    Python's own handler of Ctrl-C raises a `KeyboardInterrupt`; so does this function if a handler returns.
    """
    try:
        yield
    except interrupts.Interrupted as stop:
        signal.raise_signal(stop.signum)
        raise KeyboardInterrupt(str(stop)) from None


@contextlib.contextmanager
def random_state_kept() -> Iterator[None]:
    """Restores the random numbers of Python, NumPy and Keras, and Keras' counters of names, at the end of the block.

    TensorFlow's global seed stays that of the run. TensorFlow must have been loaded.
    """
    from pocketflow.utils.models.keras_state import keras_state_kept

    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        with keras_state_kept():
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
