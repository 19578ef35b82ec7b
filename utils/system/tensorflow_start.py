"""Loads TensorFlow, which takes seconds and talks while it does, when it is needed."""

from __future__ import annotations

import contextlib
import os

from absl import logging

from pocketflow.utils.system.quiet import quiet_native_output

LAUNCHED = ('HOROVOD_RANK', 'OMPI_COMM_WORLD_RANK')
"""Variables of the environment that launchers of workers set."""


def load_tensorflow() -> None:
    """Imports TensorFlow, and lets it look for its devices, without a word unless debug messages are wanted.

    Its native code talks about absent GPUs while it is loaded and first used, past Python's streams.
    """
    debug = logging.level_debug()
    with contextlib.nullcontext() if debug else quiet_native_output():
        os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '0' if debug else '2')
        import tensorflow as tf

        tf.config.list_physical_devices()
        if not set(LAUNCHED) & set(os.environ):  # workers first share the devices out
            tf.zeros([1])
