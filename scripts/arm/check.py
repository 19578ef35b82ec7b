"""Runs `.tflite` files on this machine and on an emulated ARM, and compares the outputs.

Started by `scripts/check_on_arm.sh`.
"""

from __future__ import annotations

import pocketflow.scripts.quiet_tensorflow  # noqa: F401  isort: skip  (comes before all that needs TensorFlow)

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pocketflow.main import guarded
from pocketflow.scripts.arm.comparison import Comparison, compare
from pocketflow.scripts.arm.machine import CrashError, Machine
from pocketflow.scripts.arm.tolerance import tolerance
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.export.runner import quantize
from pocketflow.utils.system.quiet import quiet_native_output

NUM_SAMPLES = 16


class ExportedFile:
    """A `.tflite` file with one input and one output."""

    def __init__(self, path: Path):
        self.path = path
        self.content = path.read_bytes()
        with quiet_native_output():
            try:
                interpreter = Interpreter(model_content=self.content)
            except ValueError as error:
                raise UsageError(f'{path}: LiteRT cannot read it: {error}') from error
        self._source = _only(path, 'input', interpreter.get_input_details())
        self._result = _only(path, 'output', interpreter.get_output_details())

    @property
    def output_scale(self) -> float:
        """Quantization scale of the output; 1 for float outputs."""
        return self._result['quantization'][0] or 1.0

    def inputs(self, samples: np.ndarray | None) -> np.ndarray:
        """Converts samples [N, ...] to inputs [N, ...] of the file's type.

        Args:
          samples: numbers, or values 0 to 255 for a file that takes uint8 pixels; by default random ones.
        """
        shape = tuple(int(size) for size in self._source['shape'][1:])
        takes_pixels, random = self._source['dtype'] == np.uint8, np.random.default_rng(0)
        if samples is None:
            size = (NUM_SAMPLES, *shape)
            samples = random.integers(0, 256, size) if takes_pixels else random.standard_normal(size)
        elif samples.shape[1:] != shape or not len(samples):
            raise UsageError(
                f'--inputs: has the shape {samples.shape}, but {self.path} takes (N, '
                f'{", ".join(map(str, shape))}) with at least one sample'
            )
        if takes_pixels:
            return np.clip(np.rint(samples), 0, 255).astype(np.uint8)
        if np.issubdtype(self._source['dtype'], np.integer):
            return quantize(samples.astype(np.float32), *self._source['quantization'], self._source['dtype'])
        return samples.astype(self._source['dtype'])


def check(file: ExportedFile, samples: np.ndarray | None, here: Machine, arm: Machine) -> Comparison:
    """Runs a file on both machines.

    Raises:
      CrashError: it does not run on one of them.
    """
    inputs = file.inputs(samples)
    reference, outputs = (machine.run(file.path, inputs) for machine in (here, arm))
    return compare(reference, outputs, tolerance(file.content), file.output_scale)


def check_all(files: list[ExportedFile], samples: np.ndarray | None, arm_python: str) -> None:
    """Prints one line per file.

    Raises:
      PocketFlowError: some differ or crash.
    """
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        here, arm = Machine('this machine', sys.executable, Path(folder)), Machine('ARM', arm_python, Path(folder))
        for file in files:
            try:
                comparison = check(file, samples, here, arm)
                failed += not comparison.passed
                line = comparison.line()
            except CrashError as crash:
                failed += 1
                line = str(crash)
            print(f'{file.path}: {line}', flush=True)
    if failed:
        raise PocketFlowError(f'the outputs of {failed} of {len(files)} files on ARM differ from those on this machine')


def load_samples(path: str | None) -> np.ndarray | None:
    if path is None:
        return None
    try:
        samples = np.load(path)
    except (OSError, ValueError) as error:
        raise UsageError(f'--inputs={path}: not an array written by numpy.save') from error
    if not isinstance(samples, np.ndarray) or not np.issubdtype(samples.dtype, np.number):
        raise UsageError(f'--inputs={path}: must hold one array of numbers')
    return samples


def _only(path: Path, kind: str, details: list[dict[str, Any]]) -> dict[str, Any]:
    if len(details) != 1:
        raise UsageError(f'{path}: has {len(details)} {kind}s; only files with one {kind} can be compared')
    return details[0]


def run() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument('--arm_python', required=True)
    parser.add_argument('--inputs')
    parser.add_argument('files', nargs='+', type=Path)
    arguments = parser.parse_args()
    samples = load_samples(arguments.inputs)
    check_all([ExportedFile(path) for path in arguments.files], samples, arguments.arm_python)


if __name__ == '__main__':
    sys.exit(guarded(run, debug=False))
