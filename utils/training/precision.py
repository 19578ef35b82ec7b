"""`--compute_dtype`: bfloat16 matrix units where the machine has them.

The variables, the optimizer and the saved model stay float32. While training runs, TensorFlow's graph optimizer
converts the convolutions and matrix products to bfloat16 (`auto_mixed_precision_onednn_bfloat16`), so no
model is rewritten, and evaluation and export see plain float32.
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
    """Whether the processor multiplies bfloat16 in hardware (AMX or AVX-512 BF16)."""
    try:
        words = set(Path(cpuinfo).read_text(encoding='utf-8').split())
    except OSError:
        return False
    return any(flag in words for flag in BFLOAT16_CPU_FLAGS)


def suits_bfloat16(model: keras.Model) -> bool:
    """Whether every convolution makes a multiple of 16 channels, as the bfloat16 matrix units want it.

    Other counts, as pruning leaves them, fall back to slow code: a ResNet-20 that gains from bfloat16 loses by it once
    it is pruned (`scripts/benchmarks/training_speed.sh` measures both).
    """
    filters = [layer.filters for layer in map(unwrapped, model.layers) if isinstance(layer, keras.layers.Conv2D)]
    return all(count % BFLOAT16_CHANNELS == 0 for count in filters)


def resolve_compute_dtype(
    wanted: str, model: keras.Model | None = None, has_bfloat16: bool | None = None, has_gpu: bool | None = None
) -> str:
    """`'float32'` or `'bfloat16'` for what `--compute_dtype` says.

    Args:
      wanted: the flag's value.
      model: what is to be trained; `auto` takes bfloat16 only where it is faster.
      has_bfloat16, has_gpu: what the machine has, if not to be asked.

    Raises:
      UsageError: bfloat16 was asked for by name on a GPU, where this conversion does not exist.
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
    """Functions that are first called within the block compute in `dtype`."""
    key = 'auto_mixed_precision_onednn_bfloat16'
    before = tf.config.optimizer.get_experimental_options().get(key, False)
    tf.config.optimizer.set_experimental_options({key: dtype == 'bfloat16'})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({key: before})
