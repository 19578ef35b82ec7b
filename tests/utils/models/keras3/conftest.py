"""Files of Keras 3, written once per session by a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

WRITER = Path(__file__).with_name('write_networks.py')


@pytest.fixture(scope='session')
def folder(tmp_path_factory) -> Path:
    """The folder with what `write_networks.py` has written."""
    path = tmp_path_factory.mktemp('keras3')
    environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'KERAS_HOME': str(path / 'home')}
    done = subprocess.run(
        [sys.executable, str(WRITER), str(path)], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return path


def samples_and_outputs(folder: Path, kind: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The inputs of a network, and what Keras 3 has computed from them."""
    with np.load(folder / f'{kind}.npz') as arrays:
        return tuple([arrays[name] for name in arrays if name.startswith(first)] for first in 'xy')
