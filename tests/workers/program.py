"""What two workers do together for test_workers.py: each leaves arrays by name in FOLDER/RANK.npz
and what its searches have found in FOLDER/searchRANK.json.

python scripts/workers/launch.py -n=2 -- python tests/workers/program.py FOLDER
"""

from __future__ import annotations

import pocketflow.scripts.quiet_tensorflow  # noqa: F401  isort: skip  (comes before all that needs TensorFlow)

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.datasets.abstract_dataset import AbstractDataset, DatasetOptions, Samples, Shard
from pocketflow.main import guarded, run
from pocketflow.utils.distributed import mirror
from pocketflow.utils.distributed.gradient_compression import CompressionOptions
from pocketflow.utils.distributed.multi_gpu_wrapper import ALONE, MultiGpuOptions, Workers, connect
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.runs.metrics_log import MetricsLog
from pocketflow.utils.system.interrupts import Interrupted
from pocketflow.utils.training.trainer import DistributedContext, Trainer, TrainerOptions, TrainerParts
from tests.workers.launching import QUICK_EXPORT, TASK
from tests.workers.observed_main import note_endings
from tests.workers.searching import searches

NUM_SAMPLES, BATCH = 96, 16
OPTIONS = TrainerOptions(summary_step=10, save_step=10, compute_dtype='float32')
SPARSE = (
    *TASK,
    *QUICK_EXPORT,
    '--learner=full-prec,weight-sparse',
    '--ws_prune_ratio_prtl=uniform',
    '--ws_mask_update_step=1',
    '--nb_epochs_rat=0.015',
    '--nb_epochs_rat_ft=0.015',
)
NONE, ECQ = CompressionOptions(), CompressionOptions(kind='ecq', bucket_size=32)
LOW_RANK = CompressionOptions(kind='powersgd', rank=1)
CHUNKED = ECQ.replace(exchange='chunked')


class Numbered(AbstractDataset):
    """Noise, the same at each call of the stream; the label is the sample's number."""

    name = 'numbered'
    options_class = DatasetOptions
    image_shape = (4, 4, 2)
    num_classes = NUM_SAMPLES

    def load(self, split: str) -> Samples:
        images = np.random.default_rng(0).integers(0, 256, (NUM_SAMPLES, *self.image_shape), np.uint8)
        return Samples(images, np.arange(NUM_SAMPLES))

    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        return tf.cast(images, tf.float32) / 100 - 1.28

    def augment(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return images


def batches(workers: Workers) -> Callable[[int], tf.data.Dataset]:
    """This worker's part of batches of `BATCH` samples."""
    data = Numbered(DatasetOptions(num_train=NUM_SAMPLES, batch_size=BATCH // workers.size))
    data.shard = Shard(workers.rank, workers.size)
    return lambda step: data.train_batches(np.arange(NUM_SAMPLES), step)


def loss_fn(labels: tf.Tensor, outputs: tf.Tensor, variables: list) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels % 3, outputs))
    return loss, {'label': tf.reduce_mean(tf.cast(labels, tf.float32))}


def make_model(workers: Workers, norm: bool = False, dropout: bool = False) -> keras.Model:
    """Each worker has other weights at first: training must begin with those of the primary."""
    keras.utils.set_random_seed(10 + workers.rank)
    inputs = keras.Input(Numbered.image_shape)
    hidden = keras.layers.Conv2D(6, 3, activation='relu')(inputs)
    hidden = keras.layers.BatchNormalization()(hidden) if norm else hidden
    hidden = keras.layers.Dropout(0.3)(hidden) if dropout else hidden
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(hidden)))


class Training:
    """A training by this job's workers, or by the primary alone.

    Args:
      workers: who trains.
      compression: how their gradients travel.
      folder: of checkpoints.
      log: where the metrics go.
      interrupt_at: the step at which this worker gets SIGTERM.
      layers: as for `make_model`.
    """

    def __init__(
        self,
        workers: Workers,
        compression: CompressionOptions = NONE,
        *,
        folder: Path | None = None,
        log: MetricsLog | None = None,
        interrupt_at: int | None = None,
        **layers: bool,
    ):
        self.workers, self.model = workers, make_model(workers, **layers)

        def constraint(step: tf.Tensor) -> None:
            if interrupt_at is not None:
                tf.py_function(
                    lambda now: os.kill(os.getpid(), signal.SIGTERM) if now == interrupt_at else None, [step], []
                )

        optimizer = keras.optimizers.SGD(0.1, momentum=0.9, jit_compile=False)
        self.trainer = Trainer(
            self.model,
            loss_fn,
            optimizer,
            OPTIONS,
            folder=folder,
            log=log,
            parts=TrainerParts(constraint=constraint),
            distributed=DistributedContext(workers, compression, BATCH // 2 * workers.size, seed=3),
        )

    def fit(self, num_steps: int) -> Training:
        self.trainer.fit(batches(self.workers), num_steps)
        return self

    @property
    def weights(self) -> np.ndarray:
        return np.concatenate([value.ravel() for value in self.model.get_weights()])

    @property
    def errors(self) -> list[np.ndarray]:
        return [variable.numpy() for variable in self.trainer._reducer.local_state]


def exchanges(workers: Workers, folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """What each worker gets from the others."""
    rank = workers.rank
    own = tf.constant([10 * rank + 1, 10 * rank + 2], tf.uint8)
    yield 'gathered', workers.gather(own).numpy()
    yield 'exchanged', workers.exchange(own).numpy()
    yield 'average', tf.concat(workers.average([tf.constant([1.0, 3.0]) * rank, tf.constant([0.1 * rank])]), 0).numpy()
    yield 'half', workers.average([tf.constant([1 / 3, 2049.0])], half=True)[0].numpy()
    yield 'any', np.array([workers.any(rank == 1), workers.any(False)])
    yield 'shared', workers.share(lambda: np.array([rank, 7]))
    alike = [tf.Variable([rank + 0.5]), tf.Variable([rank + 1.5]), tf.Variable([rank == 0]), tf.Variable(rank + 3)]
    workers.broadcast(alike)
    yield 'broadcast', np.array([float(variable.numpy().ravel()[0]) for variable in alike])
    yield from mirrored(workers, folder / f'disk{rank}')


def mirrored(workers: Workers, folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    for name in ('a.bin', 'sub/b.txt', 'checkpoints/c', 'sub/checkpoints/d') if workers.is_primary else ():
        file = folder / 'stage' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b'\x00\xff' + name.encode())
    mirror.mirror(workers, folder / 'stage')
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*') if path.is_file()}
    yield 'mirrored', np.array(sorted(f'{name} {content!r}' for name, content in found.items()))


def data(workers: Workers) -> Iterator[tuple[str, np.ndarray]]:
    """Which samples this worker sees in two epochs of twelve steps in all."""
    stream = batches(workers)(0).take(2 * NUM_SAMPLES // BATCH)
    yield 'seen', np.array([labels.numpy() for _, labels in stream])


def trainings(workers: Workers, folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The same training by all, and by the primary alone; and whether all end with the same weights."""
    log = MetricsLog(folder / f'log{workers.rank}')
    yield 'sgd', Training(workers, log=log).fit(20).weights
    log.close()
    if workers.is_primary:
        yield 'sgd_alone', Training(ALONE).fit(20).weights
    settings = {'norm': NONE, 'half': CompressionOptions(kind='fp16'), 'chunked': CHUNKED, 'low_rank': LOW_RANK}
    for name, compression in settings.items():
        yield f'weights_{name}', Training(workers, compression, norm=True).fit(10).weights


def continuations(workers: Workers, folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """A signal to worker 1 alone stops both; what they do afterwards is as if nothing had happened."""
    everything = {'norm': True, 'dropout': True}
    whole = Training(workers, ECQ, folder=folder / 'whole', **everything).fit(40)
    yield 'whole', whole.weights
    yield 'whole_errors', whole.errors[0]
    stopped = Training(workers, ECQ, folder=folder / 'parts', interrupt_at=15 if workers.rank else None, **everything)
    try:
        stopped.fit(40)
    except Interrupted as stop:
        yield 'stopped', np.array([stop.exit_code, int(stopped.trainer.optimizer.iterations)])
    resumed = Training(workers, ECQ, folder=folder / 'parts', **everything).fit(40)
    yield 'resumed', resumed.weights
    yield 'resumed_errors', resumed.errors[0]


def other_numbers(workers: Workers, folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Two workers' training, continued by one, and that by two: what a checkpoint holds, without a further step."""
    chunked = Training(workers, CHUNKED, folder=folder / 'changing').fit(20)
    yield 'two', chunked.weights
    yield 'two_error', chunked.errors[0]
    yield 'two_chunk_error', chunked.errors[1]
    if workers.is_primary:
        alone = Training(ALONE, ECQ, folder=folder / 'changing').fit(20)
        yield 'one', alone.weights
        yield 'one_step', np.array(int(alone.trainer.optimizer.iterations))
        yield 'one_error', alone.errors[0]
        alone.trainer._checkpoints.save()
        yield 'one_end', Training(ALONE, ECQ, folder=folder / 'changing').fit(46).weights
    workers.any(False)  # the checkpoint is written
    again = Training(workers, CHUNKED, folder=folder / 'changing').fit(23)
    yield 'two_again', again.weights
    yield 'two_again_step', np.array(int(again.trainer.optimizer.iterations))


def results(workers: Workers, folder: Path) -> Mapping[str, np.ndarray]:
    return {
        name: value
        for part in (
            exchanges(workers, folder),
            data(workers),
            trainings(workers, folder),
            continuations(workers, folder),
            other_numbers(workers, folder),
        )
        for name, value in part
    }


def main() -> None:
    tf.get_logger().setLevel('ERROR')  # of many models in one process, each compiled anew
    folder, workers = Path(sys.argv[1]), connect(MultiGpuOptions(enabled=True))
    np.savez(folder / f'{workers.rank}.npz', **results(workers, folder))
    found = searches(workers, folder / 'search')
    (folder / f'search{workers.rank}.json').write_text(json.dumps(found), encoding='utf-8')
    note_endings(folder / f'sparse{workers.rank}.jsonl')
    if run(['main.py', *SPARSE, f'--run_dir={folder / "sparse"}', f'--zoo_dir={folder / "zoo"}']):
        raise PocketFlowError('the whole run has failed; its error is above')


if __name__ == '__main__':
    sys.exit(guarded(main, debug=True))
