"""Runs `.tflite` files with LiteRT: batched predictions, and single calls for timing."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pocketflow.utils.errors import PocketFlowError, first_line
from pocketflow.utils.export.operators import operators
from pocketflow.utils.system.quiet import quiet_native_output


def num_usable_threads() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def quantize(values: np.ndarray, scale: float, zero_point: int, dtype: type[np.integer]) -> np.ndarray:
    """Quantizes real values: `round(value / scale) + zero_point`, clipped to the range of the type.

    A scale of 0 stands for integers that are not quantized.
    """
    codes = np.round(values / np.float32(scale or 1)) + zero_point
    info = np.iinfo(dtype)
    clipped: np.ndarray = np.clip(codes, info.min, info.max).astype(dtype)
    return clipped


def dequantize(codes: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Dequantizes codes: `(code - zero_point) * scale`, float32."""
    values: np.ndarray = (codes.astype(np.float32) - zero_point) * np.float32(scale)
    return values


class LiteRtRunner:
    """An interpreter for one `.tflite` file with one input and one output.

    The state of recurrent layers is reset to zeros before each batch, as in Keras: LiteRT stores the state of LSTMs in
    variables of the interpreter, which persist between calls.

    Inputs and outputs are real numbers (float32) for every format: inputs of integer files are quantized, and their
    outputs dequantized, with the scales and zero points in the file. Inputs of the file's own input type, such as uint8
    pixels, are taken as they are.
    """

    def __init__(self, file: str | os.PathLike[str] | bytes, num_threads: int = 1):
        """Loads a file, given by its path or its bytes, to run with `num_threads` threads.

        Raises (as do all methods that compute):
          PocketFlowError: LiteRT cannot load or run the file; the message names it.
        """
        self._content = file if isinstance(file, bytes) else Path(file).read_bytes()
        self._name = 'the content' if isinstance(file, bytes) else str(file)
        self._num_threads = num_threads
        self._can_resize = True
        self._load()

    @property
    def num_bytes(self) -> int:
        return len(self._content)

    @property
    def input_dtype(self) -> type[np.generic]:
        dtype: type[np.generic] = self._input['dtype']
        return dtype

    @property
    def output_dtype(self) -> type[np.generic]:
        dtype: type[np.generic] = self._output['dtype']
        return dtype

    def operators(self) -> Counter[str]:
        """The operations in the file, by name."""
        return operators(self._content)

    def predict(self, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """The outputs [N, ...] (float32) for inputs [N, ...], in batches of `batch_size`.

        A file that cannot be resized is run sample by sample.
        """
        self._check_shape(images)
        batch_size = self._possible_batch(min(batch_size, len(images)))
        outputs = []
        for start in range(0, len(images), batch_size):
            self.set_input(images[start : start + batch_size])
            self.invoke()
            outputs.append(self.output())
        return np.concatenate(outputs)

    def set_input(self, images: np.ndarray) -> None:
        """Sets a batch [N, ...] as the input of the next `invoke`, and resets variables to zero."""
        self._resize(len(images))
        self._interpreter.reset_all_variables()
        values = np.asarray(images)
        if values.dtype != self.input_dtype:
            values = np.asarray(values, np.float32)
            if issubclass(self.input_dtype, np.integer):
                scale, zero_point = self._input['quantization']
                values = quantize(values, scale, zero_point, self.input_dtype)
        self._interpreter.set_tensor(self._input['index'], values)

    def invoke(self) -> None:
        """Computes the output of the current input: the call that is timed."""
        try:  # no context manager: it would add a microsecond to the time
            self._interpreter.invoke()
        except RuntimeError as error:
            raise self._failure('run', error) from error

    def output(self) -> np.ndarray:
        """The output of the last `invoke` (float32)."""
        values: np.ndarray = self._interpreter.get_tensor(self._output['index'])
        if issubclass(self.output_dtype, np.integer):
            values = dequantize(values, *self._output['quantization'])
        return values

    def _load(self) -> None:
        with self._naming_the_file('load'), quiet_native_output():
            self._interpreter = Interpreter(model_content=self._content, num_threads=self._num_threads)
            self._interpreter.allocate_tensors()
        self._input = _only('input', self._interpreter.get_input_details())
        self._output = _only('output', self._interpreter.get_output_details())
        self._batch = int(self._input['shape'][0])

    @contextlib.contextmanager
    def _naming_the_file(self, attempt: str) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, ValueError) as error:
            raise self._failure(attempt, error) from error

    def _failure(self, attempt: str, error: Exception) -> PocketFlowError:
        return PocketFlowError(
            f'{self._name}: LiteRT cannot {attempt} this file ({first_line(error)}); if it is damaged, '
            '--exec_mode=export writes it again'
        )

    def _check_shape(self, images: np.ndarray) -> None:
        expected = tuple(int(size) for size in self._input['shape'][1:])
        if not len(images) or images.shape[1:] != expected:
            raise PocketFlowError(
                f'input of shape {images.shape}, but the file takes {(None, *expected)}, at least one sample'
            )

    def _resize(self, batch_size: int) -> None:
        if batch_size != self._batch:
            shape = (batch_size, *self._input['shape'][1:])
            with self._naming_the_file('resize the input of'):
                self._interpreter.resize_tensor_input(self._input['index'], shape)
                self._interpreter.allocate_tensors()
            self._batch = batch_size

    def _possible_batch(self, batch_size: int) -> int:
        """`batch_size`, or 1 for a file that cannot be resized, such as one with a reshape to a constant shape."""
        if self._can_resize and not self._resizes_to(batch_size):
            self._can_resize = False
            self._load()  # the failed attempt leaves the interpreter unusable
        return batch_size if self._can_resize else 1

    def _resizes_to(self, batch_size: int) -> bool:
        try:
            with quiet_native_output():
                self._resize(batch_size)
        except PocketFlowError:
            return False
        return bool(self._interpreter.get_tensor(self._output['index']).shape[0] == batch_size)


def _only(kind: str, details: list[dict[str, Any]]) -> dict[str, Any]:
    if len(details) != 1:
        raise PocketFlowError(f'the file has {len(details)} {kind}s; only files with one {kind} can be run')
    return details[0]
