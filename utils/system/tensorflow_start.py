"""Loads TensorFlow on demand, since it takes seconds, and suppresses its output."""

from __future__ import annotations

import contextlib
import os

from absl import logging

from pocketflow.utils.system.quiet import quiet_native_output

LAUNCHED = ('HOROVOD_RANK', 'OMPI_COMM_WORLD_RANK', 'TF_CONFIG')
"""Environment variables that launchers of workers set."""


def load_tensorflow() -> None:
    """Imports TensorFlow and initialises its devices, without output unless debug messages are enabled.

    Its native code reports absent GPUs on import and first use, bypassing Python's streams.
    """
    debug = logging.level_debug()
    with contextlib.nullcontext() if debug else quiet_native_output():
        os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '0' if debug else '2')
        import tensorflow as tf

        tf.config.list_physical_devices()
        if not set(LAUNCHED) & set(os.environ):  # workers first divide the devices among them
            tf.zeros([1])
