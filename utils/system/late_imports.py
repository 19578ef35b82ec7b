"""Lazy imports of the public names of a package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def late_names(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Creates `__getattr__` and `__dir__` (PEP 562) of a package whose names are imported on first use.

    Importing a module also imports its parent packages: those of modules with options must not load TensorFlow.

        __getattr__, __dir__ = late_names(__name__, {'Agent': 'pocketflow.rl_agents.ddpg.agent'})

    Args:
      package: the package's `__name__`.
      modules: public name -> the module that defines it.
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        value = getattr(importlib.import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)  # __getattr__ is not called again
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return get, names
