"""Versions of packages, and the machine on which results were measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from pocketflow.utils.system.memory import available_bytes

PACKAGES = ('tensorflow', 'tf_keras', 'ai-edge-litert', 'numpy', 'scikit-learn')
INSTRUCTION_SETS = (
    'sse4_2', 'avx', 'avx2', 'fma', 'avx_vnni', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_tile', 'amx_int8',
    'amx_bf16', 'asimd', 'asimddp', 'i8mm', 'bf16', 'sve',
)  # fmt: skip
"""Vector and matrix instructions of x86 and ARM that affect the speed of networks, as named in /proc/cpuinfo."""
PRODUCT_SIZE, NUM_PRODUCTS = 512, 3


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
    models = _values(cpuinfo, 'model name')
    return {
        'processor': models[0] if models else platform.processor() or platform.machine(),
        'cores': os.cpu_count() or 1,
    }


def machine_details(folder: Path, cpuinfo: str = '/proc/cpuinfo') -> dict[str, Any]:
    """`machine` and further properties: instruction sets, GPUs, free memory, and free disk space at `folder`.

    Args:
      folder: a path on the disk; it need not exist.
      cpuinfo: file of the kernel with the properties of the processor.

    Returns:
      JSON: `processor`, `cores`, `usable_cores`, `instruction_sets`, `gpus` (names), `free_memory_bytes` (None if
      unknown), `free_disk_bytes`.
    """
    return {
        **machine(cpuinfo),
        'usable_cores': len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1,
        'instruction_sets': instruction_sets(cpuinfo),
        'gpus': gpu_names(),
        'free_memory_bytes': available_bytes(),
        'free_disk_bytes': free_disk_bytes(folder),
    }


def instruction_sets(cpuinfo: str = '/proc/cpuinfo') -> list[str]:
    """Those of `INSTRUCTION_SETS` that the processor has; empty if unknown."""
    words = {word for key in ('flags', 'Features') for line in _values(cpuinfo, key)[:1] for word in line.split()}
    return [name for name in INSTRUCTION_SETS if name in words]


def gpu_names() -> list[str]:
    """Names of the GPUs that TensorFlow can use."""
    import tensorflow as tf  # takes seconds, and most callers need no GPUs

    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices('GPU'))
    return [str(each.get('device_name', 'GPU')) for each in details]


def free_disk_bytes(path: Path) -> int:
    """Free bytes on the disk where a path is, or would be created."""
    path = path.absolute()
    nearest = next(folder for folder in (path, *path.parents) if folder.exists())
    return shutil.disk_usage(nearest).free


def float64_flops_per_second() -> float:
    """Measured floating-point operations per second of a float64 matrix product, on all threads of NumPy."""
    matrix = np.random.default_rng(0).normal(size=(PRODUCT_SIZE, PRODUCT_SIZE))
    seconds = []
    for _ in range(NUM_PRODUCTS):
        begin = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - begin)
    return 2 * PRODUCT_SIZE**3 / min(seconds)


def _values(cpuinfo: str, key: str) -> list[str]:
    """The values of the lines `key : value` of a file; empty if it cannot be read."""
    try:
        lines = Path(cpuinfo).read_text(encoding='utf-8').splitlines()
    except OSError:
        return []
    return [line.split(':', 1)[1].strip() for line in lines if line.startswith(key) and ':' in line]
