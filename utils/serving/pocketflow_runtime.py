"""Serves a .tflite file with MLServer: the runtime that a folder of `pocketflow serve init` names as `implementation`.

This file is complete: it needs numpy, ai-edge-litert and mlserver, and nothing else of PocketFlow.

Inputs of a quantized file are real numbers (FP32, FP64), which are quantized with the scale and zero point of the file,
or the file's own integers. Outputs are real numbers (FP32), or the file's own integers if the request, or an output in
it, has the parameter `raw`. A request that does not fit is answered with an `InferenceError` (400, INVALID_ARGUMENT).

Requests that arrive while the interpreter computes are run as one batch. MLServer's own batching joins requests before
anything has checked them, so that a wrong one spoils those of others; here each is checked before.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlserver
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from mlserver.utils import get_model_uri

DATATYPES = {
    'bool': 'BOOL',
    'uint8': 'UINT8',
    'uint16': 'UINT16',
    'uint32': 'UINT32',
    'uint64': 'UINT64',
    'int8': 'INT8',
    'int16': 'INT16',
    'int32': 'INT32',
    'int64': 'INT64',
    'float16': 'FP16',
    'float32': 'FP32',
    'float64': 'FP64',
}
"""NumPy's names of types -> those of the protocol."""
FLOATS = ('FP32', 'FP64')
RESOURCES = 'resources'
"""`extra.state` of a file whose state is in resources, which nothing resets: it gets a new interpreter per sample."""

Arrays = dict[str, np.ndarray]
Waiting = tuple[Arrays, int, 'asyncio.Future[tuple[Arrays, int]]']
"""Inputs of a request, its number of samples, and where its outputs and the size of their batch go."""


@dataclasses.dataclass(frozen=True)
class Port:
    """An input or output of the file.

    Attributes:
      name: in the file's signature.
      index: of the tensor.
      dtype: of the file.
      shape: of one sample.
      scale, zero_point: real value = (code - zero_point) * scale; scale 0: not quantized.
    """

    name: str
    index: int
    dtype: np.dtype
    shape: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0

    @property
    def is_quantized(self) -> bool:
        return self.dtype.kind == 'i' and self.scale != 0

    @property
    def datatype(self) -> str:
        """The type of the file in the protocol."""
        return DATATYPES[self.dtype.name]

    @property
    def accepted(self) -> tuple[str, ...]:
        """Datatypes of requests. Pixels (UINT8) are codes already: their scale is no instruction to quantize."""
        floats = FLOATS if self.is_quantized or self.dtype.kind == 'f' else ()
        return tuple(dict.fromkeys((*floats, self.datatype)))

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Values of an accepted type as the file takes them: `round(value / scale) + zero_point`, clipped."""
        if values.dtype == self.dtype:
            return values
        if self.dtype.kind == 'f':
            return values.astype(self.dtype)
        codes = np.round(values.astype(np.float32) / np.float32(self.scale)) + self.zero_point
        limits = np.iinfo(self.dtype)
        clipped: np.ndarray = np.clip(codes, limits.min, limits.max).astype(self.dtype)
        return clipped

    def values(self, codes: np.ndarray) -> np.ndarray:
        """What the file gives as real numbers: `(code - zero_point) * scale`, float32."""
        if not self.is_quantized:
            return codes
        values: np.ndarray = (codes.astype(np.float32) - self.zero_point) * np.float32(self.scale)
        return values


def port_of(name: str, detail: Mapping[str, Any]) -> Port:
    """A port from LiteRT's details of a tensor."""
    scale, zero_point = detail['quantization']
    shape = tuple(int(size) for size in detail['shape'][1:])
    return Port(name, int(detail['index']), np.dtype(detail['dtype']), shape, float(scale), int(zero_point))


def read_input(port: Port, shape: list[int], datatype: str, data: Any, most: int) -> np.ndarray:
    """The array `[N, ...]` of one input of a request, of an accepted type.

    Args:
      port: the input of the file.
      shape, datatype, data: as in the request; the data are a list, flat or nested.
      most: the greatest N.

    Raises:
      InferenceError: says what does not fit.
    """
    name = str(getattr(datatype, 'value', datatype))
    if name not in port.accepted:
        raise InferenceError(f'input {port.name}: datatype {name[:20]}; accepted: {", ".join(port.accepted)}')
    if len(shape) != 1 + len(port.shape) or tuple(shape[1:]) != port.shape or shape[0] < 1:
        raise InferenceError(
            f'input {port.name}: shape {shape[:8]}; accepted: {[-1, *port.shape]}, at least one sample'
        )
    if shape[0] > most:
        raise InferenceError(f'input {port.name}: {shape[0]} samples in one request; at most {most} are accepted')
    array = _numbers(port.name, data, name)
    if array.size != math.prod(shape) or (array.ndim > 1 and array.shape != tuple(shape)):
        found = f'shape {list(array.shape)}' if array.ndim > 1 else f'{array.size} values'
        raise InferenceError(f'input {port.name}: data of {found}; shape {shape} has {math.prod(shape)} values')
    return array.reshape(shape)


def _numbers(name: str, data: Any, datatype: str) -> np.ndarray:
    """The data of a request as an array of the datatype, if these are finite numbers within its range."""
    try:
        array = np.asarray(data)
    except (ValueError, TypeError, OverflowError):
        array = np.empty(0, object)
    dtype = np.dtype(next(key for key, value in DATATYPES.items() if value == datatype))
    if array.dtype.kind not in {'f': 'fiu', 'b': 'b'}.get(dtype.kind, 'iu'):
        what = 'truth values' if dtype.kind == 'b' else 'whole numbers' if dtype.kind in 'iu' else 'numbers'
        raise InferenceError(f'input {name}: {datatype} needs a list of {what}, flat or in the shape of the input')
    if dtype.kind == 'f':
        with np.errstate(over='ignore'):
            array = array.astype(dtype)
        if not np.isfinite(array).all():
            raise InferenceError(f'input {name}: holds values that are not finite numbers of {datatype}')
    elif dtype.kind in 'iu':
        limits = np.iinfo(dtype)
        if array.size and (int(array.min()) < limits.min or int(array.max()) > limits.max):
            raise InferenceError(f'input {name}: {datatype} holds numbers from {limits.min} to {limits.max}')
        array = array.astype(dtype)
    return array


def read_request(inputs: list[Any], ports: Mapping[str, Port], most: int) -> Arrays:
    """All inputs of a request as the file takes them, `[N, ...]` each.

    Raises:
      InferenceError: inputs are missing, unknown, given twice, of different N, or one does not fit (`read_input`).
    """
    names = [str(item.name) for item in inputs]
    if sorted(names) != sorted(ports):
        shown = ', '.join(name[:40] for name in names[:8]) or 'none'
        raise InferenceError(f'inputs: {shown}; the model takes each of these once: {", ".join(ports)}')
    arrays: Arrays = {}
    for item in inputs:
        port, data = ports[str(item.name)], getattr(item.data, 'root', item.data)
        arrays[port.name] = port.codes(read_input(port, list(item.shape), item.datatype, data, most))
    if len({len(array) for array in arrays.values()}) > 1:
        sizes = ', '.join(f'{name} {len(array)}' for name, array in arrays.items())
        raise InferenceError(f'inputs differ in their number of samples: {sizes}')
    return arrays


class Program:
    """An interpreter of the file; used by one thread at a time.

    Args:
      path: the `.tflite` file.
      num_threads: threads of one call.
      state: '' or `RESOURCES`.
    """

    def __init__(self, path: str, num_threads: int = 1, state: str = ''):
        self._content, self._num_threads, self._state = Path(path).read_bytes(), num_threads, state
        self._load()
        self.is_resizable = state != RESOURCES and self._resizes()
        if not self.is_resizable:
            self._load()  # a failed attempt leaves the interpreter unusable

    def _load(self) -> None:
        self._interpreter = Interpreter(model_content=self._content, num_threads=self._num_threads)
        self._interpreter.allocate_tensors()
        inputs, outputs = self._details()
        self.inputs = {name: port_of(name, detail) for name, detail in inputs.items()}
        self.outputs = {name: port_of(name, detail) for name, detail in outputs.items()}
        self._batch = int(next(iter(inputs.values()))['shape'][0])

    def _details(self) -> tuple[dict[str, Any], dict[str, Any]]:
        if len(self._interpreter.get_signature_list()) == 1:
            signature = self._interpreter.get_signature_runner()
            return signature.get_input_details(), signature.get_output_details()
        given = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        inputs, outputs = ({detail['name']: detail for detail in details} for details in given)
        return inputs, outputs

    def _resizes(self) -> bool:
        """Whether the file runs with two samples at a time."""
        zeros = {name: np.zeros((2, *port.shape), port.dtype) for name, port in self.inputs.items()}
        try:
            return all(len(array) == 2 for array in self._run(zeros).values())
        except (RuntimeError, ValueError):
            return False

    def __call__(self, inputs: Arrays) -> Arrays:
        """Outputs `[N, ...]` for inputs `[N, ...]`, both in the types of the file; no sample affects another."""
        size = len(next(iter(inputs.values())))
        if self.is_resizable or size == 1 == self._batch:
            return self._run(inputs)
        runs = [self._run({name: array[place : place + 1] for name, array in inputs.items()}) for place in range(size)]
        return {name: np.concatenate([run[name] for run in runs]) for name in self.outputs}

    def _run(self, inputs: Arrays) -> Arrays:
        if self._state == RESOURCES:
            self._load()
        size = len(next(iter(inputs.values())))
        if size != self._batch:
            for name, port in self.inputs.items():
                self._interpreter.resize_tensor_input(port.index, (size, *inputs[name].shape[1:]))
            self._interpreter.allocate_tensors()
            self._batch = size
        self._interpreter.reset_all_variables()  # the state of an LSTM, of each sample of the batch
        for name, port in self.inputs.items():
            self._interpreter.set_tensor(port.index, inputs[name])
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(port.index) for name, port in self.outputs.items()}


class Batcher:
    """Runs requests that wait at the same time as one batch, in a thread, while the event loop reads further ones.

    Args:
      run: computes a batch.
      most: samples of a batch; a request is never divided.
      wait: seconds to wait for further requests while a batch is not full; 0: none.
    """

    def __init__(self, run: Callable[[Arrays], Arrays], most: int, wait: float):
        self._run, self._most, self._wait = run, most, wait
        self._waiting: collections.deque[Waiting] = collections.deque()
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1)

    async def __call__(self, inputs: Arrays) -> tuple[Arrays, int]:
        """The outputs of one request, and the number of samples that were run with it."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((inputs, len(next(iter(inputs.values()))), future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        result: tuple[Arrays, int] = await future
        return result

    def close(self) -> None:
        self._thread.shutdown(wait=False)

    async def _work(self) -> None:
        while self._waiting:
            end = time.monotonic() + self._wait
            while sum(size for _, size, _ in self._waiting) < self._most and time.monotonic() < end:
                await asyncio.sleep(min(0.0005, self._wait))
            await self._run_batch(self._next_batch())

    def _next_batch(self) -> list[Waiting]:
        batch = [self._waiting.popleft()]
        total = batch[0][1]
        while self._waiting and total + self._waiting[0][1] <= self._most:
            batch.append(self._waiting.popleft())
            total += batch[-1][1]
        return batch

    async def _run_batch(self, batch: list[Waiting]) -> None:
        parts = [inputs for inputs, _, _ in batch]
        joined = parts[0]
        if len(parts) > 1:
            joined = {name: np.concatenate([part[name] for part in parts]) for name in joined}
        total = sum(size for _, size, _ in batch)
        try:
            outputs = await asyncio.get_running_loop().run_in_executor(self._thread, self._run, joined)
        except Exception as error:  # of the interpreter: those who wait are told
            for _, _, future in batch:
                if not future.done():
                    future.set_exception(InferenceError(f'the model cannot be run: {str(error).splitlines()[0]}'))
            return
        start = 0
        for _, size, future in batch:
            if not future.done():  # else its client has left
                future.set_result(({name: array[start : start + size] for name, array in outputs.items()}, total))
            start += size


def wants(parameters: Any, name: str) -> bool:
    """Whether parameters of a request set a flag, such as `raw`; as text, as joined by MLServer's batching, too."""
    value = getattr(parameters, name, None)
    return value is True or str(value).lower() in ('true', '1')


class PocketFlowModel(mlserver.MLModel):
    """The model of MLServer; each of its worker processes has one."""

    async def load(self) -> bool:
        """Loads file and labels, and runs the file once."""
        path, extra = await get_model_uri(self._settings), self._settings.parameters.extra or {}
        self._program = Program(path, int(extra.get('num_threads', 1)), str(extra.get('state', '')))
        self._most = int(extra.get('max_request_samples', 256))
        self._batcher = Batcher(
            self._program, int(extra.get('max_batch_size', 32)), float(extra.get('max_batch_time', 0))
        )
        self._labels: list[str] = []
        if extra.get('labels'):
            labels = Path(path).with_name(str(extra['labels'])).read_text(encoding='utf-8')
            self._labels = labels.splitlines()
        self._labels_output = str(extra.get('labels_output', 'labels'))
        mlserver.register('pocketflow_request_samples', 'samples of a request')
        mlserver.register('pocketflow_batch_samples', 'samples that were run together')
        mlserver.register('pocketflow_seconds', 'seconds from the checked request to its outputs, with the wait')
        self._program({name: np.zeros((1, *port.shape), port.dtype) for name, port in self._program.inputs.items()})
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answers a request; one that does not fit raises an `InferenceError`."""
        names = self._asked(payload)
        inputs = read_request(payload.inputs, self._program.inputs, self._most)
        started = time.perf_counter()
        codes, batch = await self._batcher(inputs)
        mlserver.log(
            pocketflow_request_samples=len(next(iter(inputs.values()))),
            pocketflow_batch_samples=batch,
            pocketflow_seconds=time.perf_counter() - started,
        )
        outputs = [self._output(name, codes, raw) for name, raw in names.items()]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)

    async def unload(self) -> bool:
        with contextlib.suppress(AttributeError):  # where loading has failed
            self._batcher.close()
        return True

    def _asked(self, payload: InferenceRequest) -> dict[str, bool]:
        """The outputs that a request asks for, all if it names none -> whether as the file's own integers."""
        known = [*self._program.outputs, *([self._labels_output] if self._labels else [])]
        raw = wants(payload.parameters, 'raw')
        if not payload.outputs:
            return dict.fromkeys(known, raw)
        unknown = [str(item.name) for item in payload.outputs if item.name not in known]
        if unknown:
            raise InferenceError(f'outputs: {unknown[0][:40]} is unknown; the model gives {", ".join(known)}')
        return {str(item.name): raw or wants(item.parameters, 'raw') for item in payload.outputs}

    def _output(self, name: str, codes: Arrays, raw: bool) -> ResponseOutput:
        if name not in self._program.outputs:
            scores = next(iter(codes.values()))
            found = [self._labels[place].encode() for place in np.argmax(scores.reshape(len(scores), -1), axis=1)]
            return ResponseOutput(name=name, shape=[len(found)], datatype='BYTES', data=found)
        array = codes[name] if raw else self._program.outputs[name].values(codes[name])
        return ResponseOutput(
            name=name, shape=list(array.shape), datatype=DATATYPES[array.dtype.name], data=array.ravel().tolist()
        )
