"""What two workers over TensorFlow's collectives do for test_tf_engine.py.

Each leaves arrays by name in FOLDER/RANK.npz. Then worker 1 ends, and worker 0 exits as one that has lost another.
"""

from __future__ import annotations

import pocketflow.scripts.quiet_tensorflow  # noqa: F401  isort: skip  (comes before all that needs TensorFlow)

import os
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from pocketflow.main import guarded
from pocketflow.utils.distributed.gradient_compression import CompressionOptions
from pocketflow.utils.distributed.multi_gpu_wrapper import MultiGpuOptions, connect, raise_on_lost_worker
from tests.workers.program import ALONE, CHUNKED, ECQ, LOW_RANK, NONE, Training, exchanges


def main() -> None:
    folder, workers = Path(sys.argv[1]), connect(MultiGpuOptions(enabled=True, engine='tf'))
    found = dict(exchanges(workers, folder))
    found['horovod'] = np.array('horovod' in sys.modules)
    found['bits'] = workers.gather(tf.constant([-0.0, workers.rank])).numpy()
    found['sgd'] = Training(workers).fit(10).weights
    if workers.is_primary:
        found['sgd_alone'] = Training(ALONE).fit(10).weights
    kinds = {'none': NONE, 'fp16': CompressionOptions(kind='fp16'), 'chunked': CHUNKED, 'powersgd': LOW_RANK}
    for name, compression in kinds.items():
        found[f'weights_{name}'] = Training(workers, compression, norm=True).fit(4).weights
    # Without batch normalisation: the end of a training averages its statistics, which rounds them once more.
    found['whole'] = Training(workers, ECQ, folder=folder / 'whole').fit(8).weights
    Training(workers, ECQ, folder=folder / 'parts').fit(4)
    found['resumed'] = Training(workers, ECQ, folder=folder / 'parts').fit(8).weights
    np.savez(folder / f'{workers.rank}.npz', **found)
    workers.any(False)  # both are written
    if workers.rank:
        os._exit(9)
    with raise_on_lost_worker():
        Training(workers).fit(1000)


if __name__ == '__main__':
    sys.exit(guarded(main, debug=False))
