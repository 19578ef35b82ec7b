"""Network traffic and time of compressed gradients, measured for two workers and computed for more.

Two workers on this machine exchange the gradients of ResNet-20; the loopback interface counts the bytes. Bytes and
transfer times for more workers on a network are computed.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import dataclasses
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.nets import PAIRS
from pocketflow.nets.resnet import resnet
from pocketflow.scripts.benchmarks.charts import byte_chart
from pocketflow.scripts.benchmarks.quantized_step import StepTime
from pocketflow.utils.distributed.gradient_compression import make_reducer
from pocketflow.utils.distributed.gradient_compression.options import CompressionOptions
from pocketflow.utils.distributed.gradient_compression.traffic import Link, Sizes, bytes_per_step, num_messages
from pocketflow.utils.distributed.multi_gpu_wrapper import ALONE, Alone, Workers, connect
from pocketflow.utils.distributed.options import MultiGpuOptions
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.reports.report import format_table
from pocketflow.utils.training.precision import resolve_compute_dtype

ROOT = Path(__file__).resolve().parents[2]
NUM_WORKERS = 2
PLAIN = 'none'
SETTINGS = {PLAIN: CompressionOptions(), 'fp16': CompressionOptions(kind='fp16')} | {
    f'{bits} {exchange}': CompressionOptions(kind='ecq', bits=bits, exchange=exchange)
    for bits in ('ternary', '2', '4', '8')
    for exchange in ('gather', 'chunked')
}
SETTINGS |= {f'powersgd {rank}': CompressionOptions(kind='powersgd', rank=rank) for rank in (1, 2, 4)}
COMPUTED = (PLAIN, 'fp16', 'ternary gather', 'ternary chunked', '4 chunked')
"""Settings in the computed table and the chart."""
IN_SMOKE_TESTS = (*COMPUTED, 'powersgd 2')
TIME_GOAL = 0.15
SAVE_STEP = 100
"""Training steps between checkpoints: one to two minutes on two cores."""
ACCURACY_GOAL = 0.5
"""Points."""
ECQ, POWERSGD, UNCOMPENSATED = 'ecq', 'powersgd', 'ecq, no compensation'
TRAININGS = {
    PLAIN: ('--grad_compression=none',),
    ECQ: ('--grad_compression=ecq',),
    POWERSGD: ('--grad_compression=powersgd',),
    UNCOMPENSATED: ('--grad_compression=ecq', '--ecq_error_coeff=0'),
}


class IdenticalWorkers(Alone):
    """Simulates `size` workers with equal gradients in one process, to time the computation without communication."""

    def __init__(self, size: int):
        self.size = size

    def gather(self, tensor: tf.Tensor) -> tf.Tensor:
        return tf.tile(tensor, [self.size] + [1] * (len(tensor.shape) - 1))


class ReduceTime:
    """Milliseconds in which a worker encodes its gradients and decodes those of all workers."""

    def __init__(self, model: keras.Model, options: CompressionOptions, num_workers: int, num_steps: int):
        self._gradients = gradients_of(model, rank=0)
        self._reduce = tf.function(
            make_reducer(options, IdenticalWorkers(num_workers), model.trainable_variables).reduce
        )
        self._num_steps = num_steps

    def __call__(self) -> float:
        self._run(1)
        begin = time.perf_counter()
        self._run(self._num_steps)
        return 1000 * (time.perf_counter() - begin) / self._num_steps

    def _run(self, num_steps: int) -> None:
        for step in range(num_steps):
            result = self._reduce(self._gradients, tf.constant(step, tf.int64))
        result[0].numpy()


def gradients_of(model: keras.Model, rank: int) -> list[tf.Tensor]:
    """Random gradients of the model's shapes; bytes and time do not depend on the values."""
    rng = np.random.default_rng([common.SEED, rank])
    return [tf.constant(rng.normal(size=variable.shape), tf.float32) for variable in model.trainable_variables]


def chosen_settings(arguments: argparse.Namespace) -> dict[str, CompressionOptions]:
    """The settings that are measured, by name; a smoke test leaves out further numbers of bits."""
    return {name: options for name, options in SETTINGS.items() if name in IN_SMOKE_TESTS or not arguments.smoke}


def make_model(arguments: argparse.Namespace) -> keras.Model:
    return common.small_network((16, 16, 3), 10) if arguments.smoke else resnet(20, (32, 32, 3), 10)


# Code of the two workers.


def loopback_bytes() -> int:
    """Bytes received on the loopback interface so far.

    The interface counts a packet once as sent and once as received; the two workers together receive all of them.
    """
    lines = Path('/proc/net/dev').read_text(encoding='utf-8').splitlines()
    return int(next(line.split(':')[1].split()[0] for line in lines if line.split(':')[0].strip() == 'lo'))


@dataclasses.dataclass(frozen=True)
class Traffic:
    """Bytes received per worker, and the duration in seconds."""

    num_bytes: float
    seconds: float

    @classmethod
    def measured(cls, work: Callable[[], None], workers: Workers) -> Traffic:
        workers.any(False)  # a barrier, as is the second call
        before, begin = loopback_bytes(), time.monotonic()
        work()
        workers.any(False)
        return cls((loopback_bytes() - before) / workers.size, time.monotonic() - begin)


def traffic_per_step(model: keras.Model, workers: Workers, arguments: argparse.Namespace) -> dict[str, float]:
    """Bytes received per worker and step with each setting; medians of rounds.

    Horovod's background traffic is measured in steps without an exchange of gradients, and subtracted.
    """
    gradients = gradients_of(model, workers.rank)

    def steps(options: CompressionOptions, workers: Workers) -> Callable[[], None]:
        reduce = tf.function(make_reducer(options, workers, model.trainable_variables).reduce)

        def run() -> None:
            for step in range(arguments.steps):
                result = reduce(gradients, tf.constant(step, tf.int64))
            result[0].numpy()

        run()  # compiles
        return run

    tasks = {name: steps(options, workers) for name, options in chosen_settings(arguments).items()}
    silent = steps(SETTINGS['4 gather'], ALONE)
    measured: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(arguments.rounds):
        for name, task in tasks.items():
            idle, busy = Traffic.measured(silent, workers), Traffic.measured(task, workers)
            measured[name].append((busy.num_bytes - idle.num_bytes / idle.seconds * busy.seconds) / arguments.steps)
    return {name: statistics.median(values) for name, values in measured.items()}


def run_worker(arguments: argparse.Namespace) -> None:
    """Main function of the two worker processes that `measure` starts."""
    tf.get_logger().setLevel('ERROR')  # no warnings of repeated compilation: one per setting is intended
    workers = connect(MultiGpuOptions(enabled=True))
    traffic = traffic_per_step(make_model(arguments), workers, arguments)
    if workers.is_primary:
        Path(arguments.as_worker).write_text(json.dumps(traffic), encoding='utf-8')


# Code of the benchmark.


def launch(words: Sequence[str]) -> None:
    """Runs Python with these arguments in two workers.

    Raises:
      PocketFlowError: they failed; the error is on the standard error.
    """
    command = [
        sys.executable,
        str(ROOT / 'scripts/workers/launch.py'),
        f'-n={NUM_WORKERS}',
        '--',
        sys.executable,
        *words,
    ]
    common.say(' '.join(command))
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    if code:
        raise PocketFlowError(f'the workers ended with exit code {code}; their error is above')


def measured_traffic(arguments: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'traffic.json'
        launch(
            [
                __file__,
                f'--as_worker={file}',
                f'--rounds={arguments.rounds}',
                f'--steps={arguments.steps}',
                *(['--smoke'] if arguments.smoke else []),
            ]
        )
        return json.loads(file.read_text(encoding='utf-8'))


def measured_times(model: keras.Model, arguments: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of a training step, and of compression with each setting."""
    dtype = resolve_compute_dtype('auto', model)
    measurements: dict[str, Callable[[], float]] = {'step': StepTime(model, arguments, model.input_shape[1:], dtype)}
    for name, options in chosen_settings(arguments).items():
        if options.kind in ('ecq', 'powersgd'):
            measurements[name] = ReduceTime(model, options, NUM_WORKERS, arguments.steps)
    return common.medians_of_rounds(measurements, arguments.rounds)


def rows_of(sizes: Sizes, traffic: Mapping[str, float], times: Mapping[str, float]) -> list[dict[str, Any]]:
    """One row per setting, for two workers."""
    rows = []
    for name, num_bytes in traffic.items():
        computed = bytes_per_step(SETTINGS[name], sizes, NUM_WORKERS)
        rows.append(
            {
                'setting': name,
                'bytes_measured': round(num_bytes),
                'bytes_computed': round(computed),
                'fewer_measured': round(traffic[PLAIN] / num_bytes, 2),
                'fewer_computed': round(bytes_per_step(SETTINGS[PLAIN], sizes, NUM_WORKERS) / computed, 2),
                'ms': round(times[name], 3) if name in times else None,
                'share_of_step': round(times[name] / times['step'], 4) if name in times else None,
            }
        )
    return rows


def more_workers(sizes: Sizes, link: Link) -> list[dict[str, Any]]:
    """Computed bytes per worker and step, and their transfer time in milliseconds, for 2 to 1024 workers."""

    def cost(options: CompressionOptions, num_workers: int) -> dict[str, float]:
        num_bytes = bytes_per_step(options, sizes, num_workers)
        return {
            'bytes': round(num_bytes),
            'ms': round(link.milliseconds(num_bytes, num_messages(options, num_workers)), 3),
        }

    return [
        {'workers': 2**exponent, **{name: cost(SETTINGS[name], 2**exponent) for name in COMPUTED}}
        for exponent in range(1, 11)
    ]


def training_flags(arguments: argparse.Namespace) -> list[str]:
    """The flags of main.py common to all trainings; a batch is divided among the workers."""
    pair = ('lenet', 'digits') if arguments.smoke else ('resnet', 'cifar10')
    share = arguments.train_epochs / PAIRS.get('_at_'.join(pair)).num_epochs
    data = (
        ['--batch_size=16']
        if arguments.smoke
        else ['--batch_size=64', f'--data_dir_local={common.data_folder(arguments)}']
    )
    return [
        '--enbl_multi_gpu',
        f'--model={pair[0]}',
        f'--dataset={pair[1]}',
        '--learner=full-prec',
        '--lrn_rate_schedule=one-cycle',
        f'--nb_epochs_rat={share:g}',
        f'--save_step={SAVE_STEP}',
        '--export_formats=float32',
        '--nb_smpls_export_eval=50',
        '--nb_repts=5',
        '--nb_repts_warmup=1',
        *data,
    ]


def accuracies(arguments: argparse.Namespace) -> dict[str, float]:
    """Test accuracy after `--train_epochs` epochs of two workers with each kind of gradient compression.

    Runs are kept in `--work_dir`: finished runs are not trained again, interrupted ones are continued.
    """
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, flags in TRAININGS.items():
            run = Path(arguments.work_dir or temporary) / name.replace(', ', '-').replace(' ', '-')
            launch(
                [
                    str(ROOT / 'main.py'),
                    *training_flags(arguments),
                    *flags,
                    f'--run_dir={run}',
                    f'--zoo_dir={run.parent / "zoo"}',
                ]
            )
            report = json.loads((run / 'report.json').read_text(encoding='utf-8'))
            found[name] = report['stages'][-1]['metrics']['accuracy']
    return found


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    link = Link(1e9 * arguments.gigabits, 1e-6 * arguments.microseconds)
    if arguments.train_epochs and not arguments.smoke:
        common.data_folder(arguments)
    model = make_model(arguments)
    sizes = Sizes.of(model.trainable_variables)
    computed = more_workers(sizes, link)
    if arguments.chart:
        Path(arguments.chart).write_text(chart(sizes), encoding='utf-8')
    rows = rows_of(sizes, measured_traffic(arguments), measured_times(model, arguments))
    trained = accuracies(arguments) if arguments.train_epochs else None
    _show(model, rows, computed, trained, arguments)
    return {
        'model': model.name,
        'batch_size': arguments.batch_size,
        **dataclasses.asdict(sizes),
        'rows': rows,
        'more_workers': computed,
        'gigabits': arguments.gigabits,
        'microseconds': arguments.microseconds,
        'accuracies': trained,
    }


def _show(
    model: keras.Model,
    rows: list[dict[str, Any]],
    computed: list[dict[str, Any]],
    trained: Mapping[str, float] | None,
    arguments: argparse.Namespace,
) -> None:
    lines = [
        (
            row['setting'],
            f'{row["bytes_measured"]:,}',
            f'{row["bytes_computed"]:,}',
            f'{row["fewer_measured"]:.2f}x',
            f'{row["fewer_computed"]:.2f}x',
            *(('-', '-') if row['ms'] is None else (f'{row["ms"]:.2f}', f'{row["share_of_step"]:.1%}')),
        )
        for row in rows
    ]
    print(
        format_table(
            [
                (
                    f'{model.name}, two workers',
                    'bytes received',
                    'as computed',
                    'fewer',
                    'as computed',
                    'ms to compress',
                    f'of a step at batch {arguments.batch_size}',
                ),
                *lines,
            ]
        ),
        end='\n\n',
    )
    print(
        format_table(
            [(f'{arguments.gigabits} Gbit/s, {arguments.microseconds} us: kB, ms', *COMPUTED)]
            + [
                (
                    f'{row["workers"]} workers',
                    *(f'{row[name]["bytes"] / 1000:,.0f}, {row[name]["ms"]:.1f}' for name in COMPUTED),
                )
                for row in computed
            ]
        ),
        end='\n\n',
    )
    worst = max(row['share_of_step'] for row in rows if row['share_of_step'] is not None)
    print(
        common.goal(
            f'compression takes < {TIME_GOAL:.0%} of a training step: {worst:.1%} at most', worst < TIME_GOAL, arguments
        )
    )
    if trained:
        show_accuracies(trained, arguments)


def show_accuracies(trained: Mapping[str, float], arguments: argparse.Namespace) -> None:
    """Prints the accuracies with each kind of gradient compression, and whether the goals are met."""
    loss = {name: 100 * (trained[PLAIN] - accuracy) for name, accuracy in trained.items()}
    print()
    print(
        format_table(
            [
                (f'{arguments.train_epochs:g} epochs', 'test accuracy', 'points lost'),
                *((name, f'{accuracy:.2%}', f'{loss[name]:.2f}') for name, accuracy in trained.items()),
            ]
        )
    )
    print(
        common.goal(f'ecq loses at most {ACCURACY_GOAL} points: {loss[ECQ]:.2f}', loss[ECQ] <= ACCURACY_GOAL, arguments)
    )
    print(
        common.goal(
            f'it loses more without compensation: {loss[UNCOMPENSATED]:.2f}', loss[UNCOMPENSATED] > loss[ECQ], arguments
        )
    )


def chart(sizes: Sizes) -> str:
    """An SVG chart of bytes per worker and step against the number of workers."""
    workers = [round(2 ** (exponent / 4)) for exponent in range(4, 41)]
    return byte_chart(
        {name: [bytes_per_step(SETTINGS[name], sizes, size) for size in workers] for name in COMPUTED},
        workers,
        'workers; bytes that each receives per step',
    )


def positive_number(text: str) -> float:
    """A number > 0, for `argparse`."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f'{text} is not a number > 0')
    return value


def make_parser() -> common.Parser:
    parser = common.Parser(__doc__.split('\n')[0])
    parser.add_number('--rounds', 7, 1, 'rounds of which the median is taken')
    parser.add_number('--steps', 20, 2, 'steps per round')
    parser.add_number('--batch_size', 128, 8, 'of the training step that compression is compared with')
    parser.add_argument('--gigabits', type=common.positive, default=1, help='bandwidth of the computed network; 1')
    parser.add_argument('--microseconds', type=common.positive, default=50, help='latency of a message there; 50')
    parser.add_argument('--chart', metavar='FILE', help='also draw bytes against workers, as SVG')
    parser.add_argument(
        '--train_epochs',
        type=positive_number,
        metavar='K',
        help='also train ResNet-20 at CIFAR-10 '
        'for K epochs with two workers: without compression, with it, and without compensation',
    )
    parser.add_argument('--work_dir', help='folder that keeps these runs; default: a temporary one')
    parser.add_argument('--as_worker', help=argparse.SUPPRESS)
    return parser


if __name__ == '__main__':
    if any(word.startswith('--as_worker=') for word in sys.argv):
        sys.exit(common.guarded(lambda: run_worker(make_parser().parse_args()), debug=False))
    sys.exit(common.run('gradient_compression', make_parser(), measure))
