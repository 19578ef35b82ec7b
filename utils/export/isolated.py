"""Conversion in a separate process, so that a crash of the converter loses one file and not the run."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.convert import Calibration, first_fulfilled, fronts, save_program, warn_of_floats
from pocketflow.utils.export.inputs import PLAIN, Front, PixelInput
from pocketflow.utils.export.program import Program
from pocketflow.utils.export.runner import num_usable_threads
from pocketflow.utils.export.signature import ONLY_INPUT, named_inputs
from pocketflow.utils.graph.inputs import inputs_in_order
from pocketflow.utils.system.child_process import module_command
from pocketflow.utils.system.quiet import quiet_native_output
from pocketflow.utils.tasks.nests import Nest

TIME_LIMIT = 3600.0
"""Time limit of one conversion, in seconds."""
_LOOP_HINT = (
    '; its recurrent layers (%s) run as loops, which cannot be calibrated: build them with unroll=True, or '
    'export another format'
)


class CrashError(Exception):
    """The process ended, or exceeded its time limit, before it replied; the message has the exit status."""


class _Running:
    """A running process with its pipes; its stderr is written to a temporary file."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        path = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen(
            module_command('pocketflow.utils.export.conversion_process'),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, 'PYTHONPATH': path},
        )
        assert self._process.stdin and self._process.stdout, 'both are pipes'
        self._input, self._output = self._process.stdin, self._process.stdout

    def send(self, line: bytes) -> None:
        self._input.write(line)
        self._input.flush()

    def read_line(self, seconds: float) -> bytes | None:
        """Reads a line, incomplete if the process has ended; `None` after `seconds` without data."""
        return self._output.readline() if select.select([self._output], [], [], seconds)[0] else None

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> str:
        """Waits for the process, whose pipes have closed; returns how it ended."""
        code = self._process.wait()
        how = f'exit code {code}' if code >= 0 else signal.Signals(-code).name
        self._errors.seek(0)
        said = [
            line
            for line in self._errors.read().decode(errors='replace').splitlines()
            if 'error:' in line or 'Check failed' in line
        ]
        return f'crashed ({how})' + (f', saying {said[-1].strip()[:200]!r}' if said else '')

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._input.close()
        self._output.close()
        self._process.wait()
        self._errors.close()


class ConversionProcess:
    """A child process that executes requests, started at the first one and restarted after a crash.

    It imports TensorFlow, which takes seconds: `start` starts the import in the background.

    Args:
      time_limit: seconds after which a request counts as crashed.
    """

    def __init__(self, time_limit: float = TIME_LIMIT):
        self._time_limit = time_limit
        self._process: _Running | None = None

    def start(self) -> None:
        self._running()

    def ask(self, action: str, **request: Any) -> None:
        """Sends a request and waits for the reply.

        Raises:
          PocketFlowError: the request failed.
          CrashError: the process crashed, or exceeded the time limit.
        """
        process = self._running()
        line = json.dumps({'action': action, **request}) + '\n'
        try:
            process.send(line.encode())
        except BrokenPipeError:
            raise CrashError(self._end(process)) from None
        reply = json.loads(self._reply(process))
        if 'error' in reply:
            raise PocketFlowError(reply['error'])

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._forget(self._process)

    def _running(self) -> _Running:
        if self._process is None:
            self._process = _Running()
        return self._process

    def _reply(self, process: _Running) -> bytes:
        deadline = time.monotonic() + self._time_limit
        while (left := deadline - time.monotonic()) > 0:
            line = process.read_line(min(left, 1.0))
            if line is not None and not line.endswith(b'\n'):
                raise CrashError(self._end(process))
            if line is not None:
                return line
        process.kill()
        self._forget(process)
        raise CrashError(f'took longer than {self._time_limit:g} seconds')

    def _end(self, process: _Running) -> str:
        how = process.end()
        self._forget(process)
        return how

    def _forget(self, process: _Running) -> None:
        process.close()
        self._process = None


@functools.cache
def conversion_process() -> ConversionProcess:
    """The conversion process of this program, shared by all exports, so that it imports TensorFlow once."""
    process = ConversionProcess()
    atexit.register(process.close)
    return process


class IsolatedConversions:
    """Converts models in another process, and test-runs each file there.

    Args:
      folder: folder in which models and files are exchanged with the process.
      samples: inputs [N, ...] on which new files are run; of several inputs, a dict or tuple of arrays.
      process: the process.
    """

    def __init__(self, folder: Path, samples: Nest, process: ConversionProcess):
        self._folder, self._process, self._samples = folder, process, samples
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
        program, output = self._program(model, front), self._folder / 'converted'
        try:
            self._ask(
                'convert',
                folder=str(program.folder),
                name=program.name,
                inputs=dict(program.inputs),
                holds_ranges=program.holds_ranges,
                input_range=program.input_range,
                format=file_format,
                output=str(output),
                calibration=self._calibration_files(model, calibration, front) if file_format == 'int8' else None,
            )
        except CrashError as crash:
            raise PocketFlowError(
                f'model {model.name!r} cannot be converted to {file_format}: the converter {crash}'
                f'{_hint(model) if file_format == "int8" else ""}'
            ) from None
        content = output.read_bytes()
        if program.holds_ranges:
            warn_of_floats(program, content)
        return content

    def try_out(self, file_format: str, content: bytes) -> None:
        """Loads and runs a new file, which has the inputs of the model that was converted last.

        Raises:
          PocketFlowError: LiteRT rejects the file, or crashes.
        """
        file = self._folder / f'model_{file_format}.tflite'
        file.write_bytes(content)
        samples = named_inputs(self._saved[0], self._samples) if self._saved else {ONLY_INPUT: self._samples}
        try:
            self._ask(
                'try_out',
                path=str(file),
                inputs=list(samples),
                samples=self._files('samples', samples.values()),
                num_threads=sorted({1, num_usable_threads()}),
            )
        except CrashError as crash:
            raise PocketFlowError(f'the {file_format} file cannot be run: LiteRT {crash}') from None
        except PocketFlowError as error:
            raise PocketFlowError(str(error).removeprefix(f'{self._folder}{os.sep}')) from None

    def _ask(self, action: str, **request: Any) -> None:
        self._process.ask(action, temporary=str(self._folder), **request)

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
                self._saved = model, front, save_program(model, self._folder / 'program', front)
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
def isolated_conversions(folder: Path, samples: Nest) -> Iterator[IsolatedConversions]:
    """Conversions with a temporary folder within `folder`, which is removed afterwards.

    A temporary folder of an earlier call whose process was killed is removed first.
    """
    exchange = folder / 'conversion.tmp'
    shutil.rmtree(exchange, ignore_errors=True)
    exchange.mkdir(parents=True)
    try:
        yield IsolatedConversions(exchange.resolve(), samples, conversion_process())
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
