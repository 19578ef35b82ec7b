"""Importing this module loads TensorFlow without its chatter; it comes before all imports that need TensorFlow."""

from pocketflow.utils.system.tensorflow_start import load_tensorflow

load_tensorflow()
