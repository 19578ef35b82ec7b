"""Precision of training, `--compute_dtype`: float32, or bfloat16 on CPUs with matrix units for it.

Variables, the optimizer and the saved model stay float32. During training, TensorFlow's graph optimizer converts
convolutions and matrix products to bfloat16 (`auto_mixed_precision_onednn_bfloat16`), so that the model is unchanged,
and evaluation and export use float32.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.quantization.int8.inspect import unwrapped

BFLOAT16_CPU_FLAGS = ('amx_bf16', 'avx512_bf16')
BFLOAT16_CHANNELS = 16


@functools.cache
def cpu_has_bfloat16(cpuinfo: str = '/proc/cpuinfo') -> bool:
    """Whether the processor supports bfloat16 products in hardware (AMX or AVX-512 BF16)."""
    try:
        words = set(Path(cpuinfo).read_text(encoding='utf-8').split())
    except OSError:
        return False
    return any(flag in words for flag in BFLOAT16_CPU_FLAGS)


def suits_bfloat16(model: keras.Model) -> bool:
    """Whether every convolution has a multiple of 16 output channels, as the bfloat16 matrix units require.

    Other numbers, as after pruning, use slow kernels: a ResNet-20 trains faster in bfloat16, but slower once it is
    pruned (`scripts/benchmarks/training_speed.sh` measures both).
    """
    filters = [layer.filters for layer in map(unwrapped, model.layers) if isinstance(layer, keras.layers.Conv2D)]
    return all(count % BFLOAT16_CHANNELS == 0 for count in filters)


def resolve_compute_dtype(
    wanted: str, model: keras.Model | None = None, has_bfloat16: bool | None = None, has_gpu: bool | None = None
) -> str:
    """Resolves `--compute_dtype` to `'float32'` or `'bfloat16'`.

    Args:
      wanted: the flag's value.
      model: the model to be trained; `auto` selects bfloat16 only if it is faster.
      has_bfloat16, has_gpu: hardware of the machine; default: detected.

    Raises:
      UsageError: bfloat16 was requested on a GPU, where this conversion does not exist.
    """
    has_gpu = bool(tf.config.list_physical_devices('GPU')) if has_gpu is None else has_gpu
    has_bfloat16 = cpu_has_bfloat16() if has_bfloat16 is None else has_bfloat16
    if wanted == 'auto':
        fits = model is None or suits_bfloat16(model)
        return 'bfloat16' if has_bfloat16 and not has_gpu and fits else 'float32'
    if wanted == 'bfloat16' and has_gpu:
        raise UsageError(
            '--compute_dtype=bfloat16: only for training on CPUs; on a GPU use float32, which runs in '
            'TensorFloat-32 on the matrix units'
        )
    return wanted


@contextlib.contextmanager
def compute_dtype(dtype: str) -> Iterator[None]:
    """Functions that are traced within the block compute in `dtype`."""
    key = 'auto_mixed_precision_onednn_bfloat16'
    before = tf.config.optimizer.get_experimental_options().get(key, False)
    tf.config.optimizer.set_experimental_options({key: dtype == 'bfloat16'})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({key: before})
