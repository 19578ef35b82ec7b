"""Conversions and runs of files in a separate process, so that a crash loses one file and not the run."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.conversion_process import ONLY_ARRAY
from pocketflow.utils.export.convert import Calibration, first_fulfilled, fronts, save_program, warn_of_floats
from pocketflow.utils.export.culprit import first_failing_layer
from pocketflow.utils.export.inputs import PLAIN, Front, PixelInput
from pocketflow.utils.export.program import Program
from pocketflow.utils.export.runner import Values, num_usable_threads
from pocketflow.utils.export.signature import ONLY_INPUT, named_inputs
from pocketflow.utils.export.watched_process import ConversionProcess, CrashError, Limits, conversion_process
from pocketflow.utils.graph.inputs import inputs_in_order
from pocketflow.utils.system.quiet import quiet_native_output
from pocketflow.utils.tasks.nests import Nest, concatenated, in_batches

_LOOP_HINT = (
    '; its recurrent layers (%s) run as loops, which cannot be calibrated: build them with unroll=True, or '
    'export another format'
)
CHUNK_BYTES = 16 * 2**20
"""Samples are handed to the process in files of about this size, so that a small disk suffices."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How files are converted and run.

    Attributes:
      limits: of each conversion, and of the run of each file.
      float_io: whether int8 files take and return float32 values.
    """

    limits: Limits = Limits()
    float_io: bool = False


class IsolatedConversions:
    """Converts models in another process, and runs files there.

    Args:
      folder: folder in which models and files are exchanged with the process.
      samples: inputs [N, ...] on which new files are run; of several inputs, a dict or tuple of arrays.
      process: the process.
      settings: limits of each request, and the types of the files' inputs and outputs.
    """

    def __init__(self, folder: Path, samples: Nest, process: ConversionProcess, settings: Settings = Settings()):
        self._folder, self._process, self._samples, self._settings = folder, process, samples, settings
        self._known: tuple[tuple[object, ...], list[Front]] | None = None
        self._saved: tuple[keras.Model, Front, Program] | None = None
        self._calibration: tuple[Calibration, Front, list[str]] | None = None

    def convert(
        self,
        model: keras.Model,
        file_format: str,
        calibration: Calibration | None = None,
        pixels: PixelInput | None = None,
    ) -> bytes:
        """As `pocketflow.utils.export.convert.convert`; a crash of the converter raises a `PocketFlowError`, too."""
        choices = self._fronts(model, file_format, pixels)
        return first_fulfilled(choices, lambda front: self._convert(model, file_format, calibration, front))

    def _convert(self, model: keras.Model, file_format: str, calibration: Calibration | None, front: Front) -> bytes:
        try:
            content = self._converted(model, file_format, calibration, front)
        except CrashError as crash:
            where = _hint(model) if file_format == 'int8' else ''
            if crash.is_native and not where:
                where = self._culprit(model, file_format, calibration, front)
            raise PocketFlowError(
                f'model {model.name!r} cannot be converted to {file_format}: the converter {crash}{where}'
            ) from None
        program = self._program(model, front)
        if program.holds_ranges:
            warn_of_floats(program, content)
        return content

    def _converted(self, model: keras.Model, file_format: str, calibration: Calibration | None, front: Front) -> bytes:
        program, output = self._program(model, front), self._folder / 'converted'
        self._ask(
            'convert',
            folder=str(program.folder),
            name=program.name,
            inputs=dict(program.inputs),
            holds_ranges=program.holds_ranges,
            input_range=program.input_range,
            float_io=program.float_io,
            format=file_format,
            output=str(output),
            calibration=self._calibration_files(model, calibration, front) if file_format == 'int8' else None,
        )
        return output.read_bytes()

    def _culprit(self, model: keras.Model, file_format: str, calibration: Calibration | None, front: Front) -> str:
        """The layer with which the converter begins to crash, as the end of a sentence; empty if it is not found."""

        def crashes(part: keras.Model) -> bool:
            try:
                self._converted(part, file_format, calibration, front)
            except CrashError as crash:
                return crash.is_native
            except PocketFlowError:
                return False
            return False

        layer = first_failing_layer(model, crashes)
        return f'; it begins to crash with layer {layer!r}: replace it, or export another format' if layer else ''

    def try_out(self, file_format: str, content: bytes) -> None:
        """Loads and runs a new file, which has the inputs of the model that was converted last.

        Raises:
          PocketFlowError: LiteRT rejects the file, or crashes.
        """
        file = self._folder / f'model_{file_format}.tflite'
        file.write_bytes(content)
        samples = named_inputs(self._saved[0], self._samples) if self._saved else {ONLY_INPUT: self._samples}
        try:
            self.try_file(file, samples, f'the {file_format} file')
        except PocketFlowError as error:
            raise PocketFlowError(str(error).removeprefix(f'{self._folder}{os.sep}')) from None

    def try_file(self, path: Path, samples: Mapping[str, np.ndarray], what: str | None = None) -> None:
        """Loads a file and runs it with all numbers of threads used for measuring.

        Args:
          path: the file.
          samples: inputs [N, ...] by name.
          what: name of the file in messages.

        Raises:
          PocketFlowError: LiteRT rejects the file, or crashes.
        """
        try:
            self._ask(
                'try_out',
                path=str(path),
                inputs=list(samples),
                samples=self._files('samples', samples.values()),
                num_threads=sorted({1, num_usable_threads()}),
            )
        except CrashError as crash:
            raise PocketFlowError(f'{what or path} cannot be run: LiteRT {crash}') from None

    def predict(self, path: Path, inputs: Values, batch_size: int) -> Values:
        """The outputs [N, ...] (float32) of a file, as `LiteRtRunner.predict` on all threads.

        The time limit is one for all samples.

        Raises:
          PocketFlowError: LiteRT cannot run the file, or crashes.
        """
        named = inputs if isinstance(inputs, Mapping) else {ONLY_INPUT: inputs}
        size_of_sample = sum(array[:1].nbytes for array in named.values())
        chunk = max(batch_size, CHUNK_BYTES // size_of_sample // batch_size * batch_size)
        output = self._folder / 'outputs.npz'
        parts: list[Values] = []
        deadline = time.monotonic() + self._settings.limits.seconds
        for samples in in_batches(dict(named), chunk):
            try:
                self._ask(
                    'predict',
                    path=str(path),
                    inputs=list(samples),
                    samples=self._files('samples', samples.values()),
                    num_threads=num_usable_threads(),
                    seconds=deadline - time.monotonic(),
                    batch_size=batch_size,
                    output=str(output),
                )
            except CrashError as crash:
                raise PocketFlowError(f'{path} cannot be run: LiteRT {crash}') from None
            with np.load(output, allow_pickle=False) as arrays:
                parts.append(arrays[ONLY_ARRAY] if ONLY_ARRAY in arrays else dict(arrays))
        outputs: Values = concatenated(parts)
        return outputs

    def _ask(self, action: str, seconds: float | None = None, **request: Any) -> None:
        """Sends a request; `seconds` are what is left of the time limit, if it is one for several requests."""
        limits = self._settings.limits
        self._process.ask(action, limits, seconds, temporary=str(self._folder), **request)

    def _fronts(self, model: keras.Model, file_format: str, pixels: PixelInput | None) -> list[Front]:
        """What the program may begin with; all formats that compute in float share one."""
        key = (model, file_format == 'int8', pixels)
        if self._known is None or any(old is not new for old, new in zip(self._known[0], key, strict=True)):
            self._known = key, fronts(model, file_format, pixels)
        return self._known[1]

    def _program(self, model: keras.Model, front: Front) -> Program:
        """The model's program, saved once for all formats with this front."""
        if self._saved is None or self._saved[0] is not model or self._saved[1] is not front:
            shutil.rmtree(self._folder / 'program', ignore_errors=True)
            with quiet_native_output():
                program = save_program(model, self._folder / 'program', front, self._settings.float_io)
            self._saved = model, front, program
        return self._saved[2]

    def _calibration_files(self, model: keras.Model, calibration: Calibration | None, front: Front) -> list[str] | None:
        """One file for each input of the model."""
        if calibration is None:
            return None
        if self._calibration is None or self._calibration[0] is not calibration or self._calibration[1] is not front:
            arrays = [_one_array(calibration)] if len(model.inputs) == 1 else inputs_in_order(model, calibration)
            inputs = arrays if front is PLAIN else map(front.prepared, arrays)
            self._calibration = calibration, front, self._files('calibration', inputs)
        return self._calibration[2]

    def _files(self, name: str, arrays: Iterable[np.ndarray]) -> list[str]:
        paths = []
        for number, array in enumerate(map(np.asarray, arrays)):
            paths.append(str(self._folder / f'{name}{number}.npy'))
            np.save(paths[-1], array if array.dtype == np.uint8 else np.asarray(array, np.float32))
        return paths


@contextlib.contextmanager
def isolated_conversions(folder: Path, samples: Nest, settings: Settings = Settings()) -> Iterator[IsolatedConversions]:
    """Conversions with a temporary folder within `folder`, which is removed afterwards.

    A temporary folder of an earlier call whose process was killed is removed first.
    """
    exchange = folder / 'conversion.tmp'
    shutil.rmtree(exchange, ignore_errors=True)
    exchange.mkdir(parents=True)
    try:
        yield IsolatedConversions(exchange.resolve(), samples, conversion_process(), settings)
    finally:
        shutil.rmtree(exchange, ignore_errors=True)


def _one_array(calibration: Iterable[np.ndarray]) -> np.ndarray:
    if isinstance(calibration, np.ndarray):
        return np.asarray(calibration, np.float32)
    return np.concatenate([np.asarray(batch, np.float32) for batch in calibration])


def _hint(model: keras.Model) -> str:
    """Advice about recurrent layers that become loops, which crash the converter's calibration; else empty."""
    layers = [getattr(layer, 'forward_layer', layer) for layer in model.layers]
    loops = [layer.name for layer in layers if isinstance(layer, keras.layers.RNN) and not layer.unroll]
    return _LOOP_HINT % ', '.join(loops) if loops else ''
