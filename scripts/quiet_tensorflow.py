"""Loads TensorFlow without its log messages when imported, which must precede all imports that need TensorFlow."""

from pocketflow.utils.system.tensorflow_start import load_tensorflow

load_tensorflow()
