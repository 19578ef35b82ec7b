"""PocketFlow for TensorFlow 2: compresses networks and measures the files that result.

The names below are imported when they are first used, so that `import pocketflow` loads no TensorFlow.
"""

from __future__ import annotations

from pocketflow.utils.system.late_imports import late_names

_PUBLIC = {
    'load_container': 'pocketflow.utils.container',
    'load_model': 'pocketflow.learners.abstract_learner',
    'remove_channels': 'pocketflow.utils.channels',
}
"""Public name -> the module that defines it."""

__all__ = list(_PUBLIC)
__getattr__, __dir__ = late_names(__name__, _PUBLIC)
