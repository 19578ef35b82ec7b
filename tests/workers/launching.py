"""Starts real workers, for tests."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TASK = ('--model=lenet', '--dataset=digits', '--enbl_multi_gpu', '--compute_dtype=float32')
QUICK_EXPORT = ('--export_formats=pfz', '--nb_smpls_export_eval=50', '--nb_repts=5', '--nb_repts_warmup=1')

needs_horovod = pytest.mark.skipif(
    importlib.util.find_spec('horovod') is None,
    reason='NOT RUN: Horovod is not installed; scripts/install_horovod.sh builds it',
)


def launch(words: Sequence[str | Path], temporary: Path, num_workers: int = 2) -> subprocess.CompletedProcess[str]:
    """Workers that run Python with these words, and keep their temporary files in a folder of their own."""
    temporary.mkdir(exist_ok=True)
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'TMPDIR': str(temporary)}
    command = [
        sys.executable,
        str(ROOT / 'scripts/workers/launch.py'),
        f'-n={num_workers}',
        '--verbose_workers',
        '--',
        sys.executable,
        *map(str, words),
    ]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)
