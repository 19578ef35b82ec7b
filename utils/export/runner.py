"""Runs `.tflite` files with LiteRT: batched predictions, and single calls for timing."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pocketflow.utils.errors import PocketFlowError, first_line
from pocketflow.utils.export.operators import operators
from pocketflow.utils.system.quiet import quiet_native_output

Values: TypeAlias = np.ndarray | Mapping[str, np.ndarray]
"""An array, or arrays by the names of several inputs or outputs."""


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
    """An interpreter for one `.tflite` file.

    The state of recurrent layers is reset to zeros before each batch, as in Keras: LiteRT stores the state of LSTMs in
    variables of the interpreter, which persist between calls.

    Inputs and outputs are real numbers (float32) for every format: inputs of integer files are quantized, and their
    outputs dequantized, with the scales and zero points in the file. Inputs of the file's own input type, such as uint8
    pixels, are taken as they are. Several inputs or outputs are dicts by the names in the file's signature; a single
    one is an array.
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
        """Type of the first input."""
        dtype: type[np.generic] = next(iter(self._inputs.values()))['dtype']
        return dtype

    @property
    def output_dtype(self) -> type[np.generic]:
        """Type of the first output."""
        dtype: type[np.generic] = next(iter(self._outputs.values()))['dtype']
        return dtype

    def operators(self) -> Counter[str]:
        """The operations in the file, by name."""
        return operators(self._content)

    def predict(self, images: Values, batch_size: int = 64) -> Values:
        """The outputs [N, ...] (float32) for inputs [N, ...], in batches of `batch_size`.

        A file that cannot be resized is run sample by sample.
        """
        inputs = self._checked(images)
        num_samples = len(next(iter(inputs.values())))
        batch_size = self._possible_batch(min(batch_size, num_samples))
        outputs: list[dict[str, np.ndarray]] = []
        for start in range(0, num_samples, batch_size):
            self._set_inputs({name: array[start : start + batch_size] for name, array in inputs.items()})
            self.invoke()
            outputs.append(self._all_outputs())
        return _only_value({name: np.concatenate([batch[name] for batch in outputs]) for name in self._outputs})

    def set_input(self, images: Values) -> None:
        """Sets a batch [N, ...] as the input of the next `invoke`, and resets variables to zero."""
        self._set_inputs(self._checked(images))

    def invoke(self) -> None:
        """Computes the output of the current input: the call that is timed."""
        try:  # no context manager: it would add a microsecond to the time
            self._interpreter.invoke()
        except RuntimeError as error:
            raise self._failure('run', error) from error

    def output(self) -> Values:
        """The output of the last `invoke` (float32)."""
        return _only_value(self._all_outputs())

    def _set_inputs(self, inputs: Mapping[str, np.ndarray]) -> None:
        self._resize(len(next(iter(inputs.values()))))
        self._interpreter.reset_all_variables()
        for name, images in inputs.items():
            detail, values = self._inputs[name], np.asarray(images)
            if values.dtype != detail['dtype']:
                values = np.asarray(values, np.float32)
                if issubclass(detail['dtype'], np.integer):
                    scale, zero_point = detail['quantization']
                    values = quantize(values, scale, zero_point, detail['dtype'])
            self._interpreter.set_tensor(detail['index'], values)

    def _all_outputs(self) -> dict[str, np.ndarray]:
        outputs: dict[str, np.ndarray] = {}
        for name, detail in self._outputs.items():
            values = self._interpreter.get_tensor(detail['index'])
            is_integer = issubclass(detail['dtype'], np.integer)
            outputs[name] = dequantize(values, *detail['quantization']) if is_integer else values
        return outputs

    def _load(self) -> None:
        with self._naming_the_file('load'), quiet_native_output():
            self._interpreter = Interpreter(model_content=self._content, num_threads=self._num_threads)
            self._interpreter.allocate_tensors()
            self._inputs, self._outputs = _named_details(self._interpreter)
        self._batch = int(next(iter(self._inputs.values()))['shape'][0])

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

    def _checked(self, images: Values) -> dict[str, np.ndarray]:
        """Inputs by name."""
        if not isinstance(images, Mapping):
            if len(self._inputs) > 1:
                raise PocketFlowError(f'{self._name}: the file takes several inputs by name: {", ".join(self._inputs)}')
            images = dict.fromkeys(self._inputs, images)
        elif len(images) == len(self._inputs) == 1:
            images = dict(zip(self._inputs, images.values(), strict=True))
        elif images.keys() != self._inputs.keys():
            raise PocketFlowError(
                f'{self._name}: inputs {", ".join(images)} given, but the file takes {", ".join(self._inputs)}'
            )
        for name, array in images.items():
            expected = tuple(int(size) for size in self._inputs[name]['shape'][1:])
            if not len(array) or array.shape[1:] != expected:
                raise PocketFlowError(
                    f'input of shape {array.shape}, but the file takes {(None, *expected)}, at least one sample'
                )
        return dict(images)

    def _resize(self, batch_size: int) -> None:
        if batch_size != self._batch:
            with self._naming_the_file('resize the input of'):
                for detail in self._inputs.values():
                    self._interpreter.resize_tensor_input(detail['index'], (batch_size, *detail['shape'][1:]))
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
        return all(
            self._interpreter.get_tensor(detail['index']).shape[0] == batch_size for detail in self._outputs.values()
        )


def _named_details(interpreter: Interpreter) -> tuple[dict[str, Any], dict[str, Any]]:
    """Details of the inputs and of the outputs by name: those of the signature, if several have to be told apart."""
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) == len(outputs) == 1 or len(interpreter.get_signature_list()) != 1:
        return {detail['name']: detail for detail in inputs}, {detail['name']: detail for detail in outputs}
    signature = interpreter.get_signature_runner()
    return signature.get_input_details(), signature.get_output_details()


def _only_value(values: dict[str, np.ndarray]) -> Values:
    return next(iter(values.values())) if len(values) == 1 else values
