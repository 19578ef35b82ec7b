"""PocketFlow for TensorFlow 2: compresses networks and measures the files that result.

The names below are imported when they are first used, so that `import pocketflow` loads no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    'load_container': 'pocketflow.utils.container',
    'load_model': 'pocketflow.learners.abstract_learner',
    'remove_channels': 'pocketflow.utils.channels',
}
"""Public name -> the module that defines it."""

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
