"""Shared code of the benchmarks: command line, pairs, models, timing, output and exit codes.

A benchmark prints a table and, as the last line of the standard output, one line of JSON.
Import this module before any other: it loads TensorFlow without its log messages.
"""

from __future__ import annotations

import pocketflow.scripts.quiet_tensorflow  # noqa: F401  isort: skip  (comes before all that needs TensorFlow)

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf
import tf_keras as keras
from absl import logging

from pocketflow.datasets.options import DatasetOptions
from pocketflow.learners.channel_pruning.counts import num_kept
from pocketflow.learners.channel_pruning.linear_forms import channel_index
from pocketflow.learners.channel_pruning.selectors.l1 import l1_norms
from pocketflow.learners.channel_pruning.selectors.selector import best_first
from pocketflow.learners.channel_pruning.skipping import skip_reasons
from pocketflow.learners.channel_pruning_rmt.options import ChannelPruningOptions
from pocketflow.learners.program.pipeline import load_fitting_model
from pocketflow.main import guarded
from pocketflow.nets import PAIRS
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.channels import ReaderChannels, reader_channels
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.export.latency import Timing, time_alternating
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.runs import log_file
from pocketflow.utils.runs.given_files import resolve_model_path
from pocketflow.utils.runs.machine import machine
from pocketflow.utils.training.options import TrainerOptions
from pocketflow.utils.training.trainer import STEPS_PER_CALL, Trainer

ROOT = Path(__file__).resolve().parents[2]
DATA_VARIABLE = 'POCKETFLOW_CIFAR10'
SEED = 0
SMOKE_RUN = (
    '--model=lenet',
    '--dataset=digits',
    '--nb_epochs_rat=0.02',
    '--nb_smpls_export_eval=50',
    '--nb_repts=5',
    '--nb_repts_warmup=1',
)
"""Flags of a run of main.py in a smoke test: LeNet at digits, little training, few measurements."""
SMOKE_TIMING = Timing(rounds=2, warmup=1)
TIMING = Timing(rounds=60)


class Parser(argparse.ArgumentParser):
    """The flags of all benchmarks; errors of the command line are reported in one line."""

    def __init__(self, description: str):
        super().__init__(description=description, allow_abbrev=False)
        self.add_argument('--smoke', action='store_true', help='tiny settings, no data set, well under a minute')
        self.add_argument('--data_dir', help=f'folder of the binary version of CIFAR-10; default: ${DATA_VARIABLE}')

    def add_number(self, flag: str, default: int, smoke: int, help: str) -> None:
        """A whole number >= 1 whose default depends on --smoke."""
        self.add_argument(flag, type=positive, help=f'{help}; default: {default}')
        self.set_defaults(numbers={**(self.get_default('numbers') or {}), flag.lstrip('-'): (default, smoke)})

    def add_model(self, required: bool = False) -> None:
        """Adds `--model`; if it is not required, also `--resnet_size` of the untrained network used without it."""
        group = self.add_mutually_exclusive_group()
        group.add_argument(
            '--model',
            metavar='PATH',
            help='trained ResNet at CIFAR-10: a .keras file or the directory of a finished run',
        )
        if not required:
            group.add_argument('--resnet_size', type=positive, default=20, help='size of an untrained network')

    def parse_args(self, *args: Any, **kwargs: Any) -> argparse.Namespace:
        arguments = super().parse_args(*args, **kwargs)
        for name, values in (self.get_default('numbers') or {}).items():
            if getattr(arguments, name) is None:
                setattr(arguments, name, values[arguments.smoke])
        unused = [name for name in ('data_dir', 'model') if arguments.smoke and getattr(arguments, name, None)]
        if unused:
            self.error(f'--smoke uses no data set and no trained model: drop it, or --{unused[0]}')
        return arguments

    def error(self, message: str) -> NoReturn:
        raise UsageError(f'{message}; --help lists the flags')


def positive(text: str) -> int:
    """A whole number >= 1, for `argparse`."""
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f'{text} is not a whole number >= 1')
    return int(text)


def run(name: str, parser: Parser, measure: Callable[[argparse.Namespace], Mapping[str, Any]]) -> int:
    """Runs a benchmark, prints the line of JSON, and returns the exit code; `measure` prints the table."""
    log_file.start(debug=False)
    logging.set_verbosity(logging.WARNING)
    # Benchmarks compile several models in turns, of which TensorFlow would warn.
    tf.get_logger().setLevel('ERROR')

    def action() -> None:
        arguments = parser.parse_args()
        keras.utils.set_random_seed(SEED)
        result = {'benchmark': name, 'smoke': arguments.smoke, **measure(arguments), 'machine': machine()}
        print(json.dumps(result), flush=True)

    return guarded(action, debug=False)


def run_main(flags: Sequence[str]) -> int:
    """Runs main.py in a process of its own, without its standard output, and returns its exit code."""
    command = [sys.executable, str(ROOT / 'main.py'), *flags]
    say(' '.join(command))
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode


def report_of(flags: Sequence[str], run_dir: Path) -> dict[str, Any]:
    """Runs main.py, or the rest of an interrupted run, and returns its report.

    Raises:
      PocketFlowError: main.py failed.
    """
    code = run_main([*flags, f'--run_dir={run_dir}'])
    if code:
        raise PocketFlowError(f'{run_dir.name}: main.py ended with exit code {code}; its error is above')
    report: dict[str, Any] = json.loads((run_dir / 'report.json').read_text(encoding='utf-8'))
    return report


def say(text: str) -> None:
    """Prints progress to the standard error; the standard output is for the results."""
    print(text, file=sys.stderr, flush=True)


def goal(text: str, is_met: bool, arguments: argparse.Namespace) -> str:
    """One line on a goal: met or missed; not judged in a smoke test."""
    return f'goal: {text}: {"not judged in a smoke test" if arguments.smoke else "met" if is_met else "MISSED"}'


def data_folder(arguments: argparse.Namespace) -> str:
    """The folder with CIFAR-10.

    Raises:
      UsageError: none was given.
    """
    folder = arguments.data_dir or os.environ.get(DATA_VARIABLE)
    if not folder:
        raise UsageError(
            f'no data: give --data_dir=FOLDER or {DATA_VARIABLE}=FOLDER with the binary version of '
            'CIFAR-10, or --smoke for a test without it'
        )
    return folder


def make_helper(arguments: argparse.Namespace, **net_options: Any) -> AbstractModelHelper:
    """ResNet at CIFAR-10 with loaded training samples, or for a smoke test LeNet at digits."""
    helper_class = PAIRS.get('lenet_at_digits' if arguments.smoke else 'resnet_at_cifar10')
    data_options: type[DatasetOptions] = helper_class.dataset_class.options_class
    options = data_options() if arguments.smoke else data_options(data_dir_local=data_folder(arguments))
    helper = helper_class(helper_class.net_options_class(**net_options), helper_class.dataset_class(options, SEED))
    helper.dataset.source('train')
    return helper


def trained_model(path: str, helper: AbstractModelHelper) -> keras.Model:
    """The saved model at `--model`; raises a `UsageError` if it does not fit the pair."""
    return load_fitting_model(resolve_model_path(path, '--model'), helper)


def network_and_images(arguments: argparse.Namespace) -> tuple[keras.Model, np.ndarray]:
    """The network to time, with inputs `[N, height, width, channels]` for calibration and timing.

    In a smoke test a small untrained network and noise; else the model at --model, or an untrained one (the speed does
    not depend on the weights), and training images.
    """
    if arguments.smoke:
        noise = np.random.default_rng(SEED).normal(size=(20, 16, 16, 3))
        return small_network((16, 16, 3), 10), noise.astype(np.float32)
    helper = make_helper(arguments, size=arguments.resnet_size)
    model = trained_model(arguments.model, helper) if arguments.model else helper.build_model()
    return model, helper.training_images(200, SEED)


def small_network(image_shape: Sequence[int], num_classes: int) -> keras.Model:
    """A residual block between a convolution and a classifier, for smoke tests."""
    k = keras.layers

    def convolved(features: Any) -> Any:
        return k.BatchNormalization()(k.Conv2D(8, 3, padding='same', use_bias=False)(features))

    inputs = keras.Input(image_shape)
    stem = k.ReLU()(convolved(inputs))
    total = k.ReLU()(k.Add()([stem, convolved(k.ReLU()(convolved(stem)))]))
    return keras.Model(inputs, k.Dense(num_classes)(k.GlobalAveragePooling2D()(total)), name='small')


def norm_plan(model: keras.Model, prune_ratio: float) -> dict[str, tuple[int, ...]]:
    """The input channels that each layer keeps if those of small l1 norm are removed; needs no images.

    The first convolution and the logits keep all, as in the learner.
    """
    readers = reader_channels(model)
    skipped = skip_reasons(model, readers, ChannelPruningOptions().stage)
    return {
        name: _channels_of_large_norm(model.get_layer(name), reader, prune_ratio)
        for name, reader in readers.items()
        if name not in skipped
    }


def _channels_of_large_norm(layer: keras.layers.Layer, reader: ReaderChannels, prune_ratio: float) -> tuple[int, ...]:
    kernel = layer.kernel.numpy()
    weights = kernel.reshape(-1, kernel.shape[-1])
    num_inputs = sum(len(places) for places in reader.positions)
    channel_of = channel_index(reader.positions, len(weights) // num_inputs)
    order = best_first(l1_norms(weights, channel_of, reader.num_channels))
    return tuple(sorted(map(int, order[: num_kept(reader.num_channels, 1 - prune_ratio)])))


def milliseconds(files: Mapping[Any, bytes], image: np.ndarray, num_threads: int, smoke: bool) -> dict[Any, float]:
    """Median milliseconds per call of `.tflite` files at batch 1, timed in turns in this process."""
    runners = {name: LiteRtRunner(content, num_threads) for name, content in files.items()}
    latencies = time_alternating(runners, image, SMOKE_TIMING if smoke else TIMING)
    return {name: latency.p50 for name, latency in latencies.items()}


def make_optimizer(helper: AbstractModelHelper) -> keras.optimizers.Optimizer:
    """The optimizer of the learners."""
    return keras.optimizers.SGD(helper.setup_lrn_rate()[0], momentum=helper.net.momentum, jit_compile=False)


class TrainerSpeed:
    """Training speed of the Trainer in images per second, in rounds that continue the training.

    Each round compiles the step function again; compilation and the steps of the first call are not timed.

    Args:
      helper: the pair, with its real input pipeline.
      num_steps: timed steps per round.
      compute_dtype: as for `--compute_dtype`.
      model: the model to train; default: a new model of the pair.
    """

    def __init__(
        self, helper: AbstractModelHelper, num_steps: int, compute_dtype: str = 'auto', model: keras.Model | None = None
    ):
        self._helper, self._num_steps = helper, num_steps
        self._trainer = Trainer(
            model or helper.build_model(),
            helper.calc_loss,
            make_optimizer(helper),
            TrainerOptions(compute_dtype=compute_dtype),
        )

    @property
    def dtype(self) -> str:
        """The compute type: 'float32' or 'bfloat16'."""
        return self._trainer.dtype

    def __call__(self) -> float:
        last_step = int(self._trainer.optimizer.iterations) + STEPS_PER_CALL + self._num_steps
        return self._trainer.fit(lambda step: self._helper.build_dataset_train(first_step=step), last_step)


def medians_of_rounds(measurements: Mapping[str, Callable[[], float]], num_rounds: int) -> dict[str, float]:
    """Calls all measurements alternately, once per round, and returns the median of each."""
    values: dict[str, list[float]] = {name: [] for name in measurements}
    for number in range(1, num_rounds + 1):
        for name, measure in measurements.items():
            values[name].append(measure())
            say(f'round {number}/{num_rounds} {name}: {values[name][-1]:.4g}')
    return {name: statistics.median(measured) for name, measured in values.items()}
