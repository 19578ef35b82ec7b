"""Versions of packages, and processor, under which results were measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = ('tensorflow', 'tf_keras', 'ai-edge-litert', 'numpy', 'scikit-learn')


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that affect results."""
    found = {'python': platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine(cpuinfo: str = '/proc/cpuinfo') -> dict[str, str | int]:
    """Processor name and number of cores."""
    try:
        lines = Path(cpuinfo).read_text(encoding='utf-8').splitlines()
    except OSError:
        lines = []
    models = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return {
        'processor': models[0] if models else platform.processor() or platform.machine(),
        'cores': os.cpu_count() or 1,
    }
