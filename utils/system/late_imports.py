"""Packages that name what is in their modules without importing them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def late_names(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` (PEP 562) of a package whose names are imported when they are first used.

    Importing a module imports the packages above it, too: those above modules with options must not load TensorFlow.

        __getattr__, __dir__ = late_names(__name__, {'Agent': 'pocketflow.rl_agents.ddpg.agent'})

    Args:
      package: the package's `__name__`.
      modules: public name -> the module that defines it.
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        value = getattr(importlib.import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)  # not asked for again
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return get, names
