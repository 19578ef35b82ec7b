"""PocketFlow for TensorFlow 2: compresses networks and measures the files that result.

The names below are for notebooks and programs: `Compressor`, a whole run of the program, and functions of plain
values for its parts. docs/python.md shows them at work. They are imported when they are first used, so that
`import pocketflow` loads no TensorFlow.
"""

from __future__ import annotations

from pocketflow.utils.system.late_imports import late_names

_PUBLIC = {
    'Compressor': 'pocketflow.learners.program.compressor.compressor',
    'export_tflite': 'pocketflow.utils.export.tflite',
    'load_container': 'pocketflow.utils.container',
    'load_model': 'pocketflow.utils.models.files',
    'measure': 'pocketflow.utils.export.tflite',
    'prune_channels': 'pocketflow.learners.channel_pruning.pruning',
    'quantize': 'pocketflow.utils.quantization.post_training',
    'quantize_post_training': 'pocketflow.learners.post_training.quantizing',
    'remove_channels': 'pocketflow.utils.channels',
    'save_container': 'pocketflow.utils.container',
    'sparsify': 'pocketflow.learners.weight_sparsification.sparsifying',
}
"""Public name -> the module that defines it."""

__all__ = list(_PUBLIC)
__getattr__, __dir__ = late_names(__name__, _PUBLIC)
