"""Sends samples to a server, compares the answers with LiteRT in this process bit for bit, and times them."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.runner import dequantize, quantize
from pocketflow.utils.reports.report import format_table
from pocketflow.utils.serving.clients import Client
from pocketflow.utils.serving.served_file import ServedFile, Tensor, details
from pocketflow.utils.system.quiet import quiet_native_output

Arrays = Mapping[str, np.ndarray]
NUM_WARMUP = 10
"""Untimed requests of each way."""
CLIENT_LIMIT_S = 600.0
"""Seconds within which all clients have to end."""


@dataclasses.dataclass(frozen=True)
class Way:
    """A way to send requests.

    Attributes:
      name: as shown.
      client: makes a client.
      raw: whether inputs and outputs are in the types of the file.
    """

    name: str
    client: Callable[[], Client]
    raw: bool = False


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of one way.

    Attributes:
      name: of the way.
      num_equal, num_samples: answers that are bit for bit those of LiteRT, of all.
      latencies: seconds of each request of a single client.
      rate: requests per second of several clients.
    """

    name: str
    num_equal: int
    num_samples: int
    latencies: Sequence[float]
    rate: float


def expected_outputs(path: Path, inputs: Arrays) -> dict[str, np.ndarray]:
    """Outputs `[N, ...]` of the file in its own types, for inputs in these: each sample by itself, in a new state."""
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    with quiet_native_output():
        interpreter.allocate_tensors()
    takes, gives = details(interpreter)
    found: dict[str, list[np.ndarray]] = {name: [] for name in gives}
    for number in range(len(next(iter(inputs.values())))):
        interpreter.reset_all_variables()
        for name, detail in takes.items():
            interpreter.set_tensor(detail['index'], inputs[name][number : number + 1])
        interpreter.invoke()
        for name, detail in gives.items():
            found[name].append(interpreter.get_tensor(detail['index']))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def coded(tensor: Tensor, values: np.ndarray) -> np.ndarray:
    """Samples in the type of the file."""
    if not tensor.is_quantized or values.dtype == tensor.dtype:
        return values.astype(tensor.dtype)
    return quantize(values.astype(np.float32), tensor.scale, tensor.zero_point, tensor.dtype.type)


def decoded(tensor: Tensor, codes: np.ndarray) -> np.ndarray:
    """Outputs of the file as a server gives them."""
    return dequantize(codes, tensor.scale, tensor.zero_point) if tensor.is_quantized else codes


def expected_answers(served: ServedFile, codes: Arrays, labels: str, raw: bool) -> dict[str, np.ndarray]:
    """The answers to be given.

    Args:
      served: the file.
      codes: its outputs.
      labels: name of the output with the labels of the largest scores, if the file has labels.
      raw: whether answers are in the types of the file.
    """
    outputs = {tensor.name: codes[tensor.name] for tensor in served.outputs}
    answers = outputs if raw else {tensor.name: decoded(tensor, outputs[tensor.name]) for tensor in served.outputs}
    if served.labels:
        scores = next(iter(outputs.values()))
        places = np.argmax(scores.reshape(len(scores), -1), axis=1)
        answers = {**answers, labels: np.array(served.labels)[places]}
    return answers


def is_equal(answer: Arrays, expected: Arrays, number: int) -> bool:
    """Whether an answer is the expected one of a sample, bit for bit, with the same names, types and shapes."""
    return answer.keys() == expected.keys() and all(
        _same(answer[name], array[number : number + 1]) for name, array in expected.items()
    )


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype.kind == 'U':
        return bool(one.tolist() == other.tolist())
    return bool(one.dtype == other.dtype) and one.shape == other.shape and one.tobytes() == other.tobytes()


def samples_of(inputs: Arrays) -> Iterator[dict[str, np.ndarray]]:
    """Each sample `[1, ...]` by itself."""
    for number in range(len(next(iter(inputs.values())))):
        yield {name: array[number : number + 1] for name, array in inputs.items()}


def replay(way: Way, inputs: Arrays, expected: Arrays, concurrency: int, check: Callable[[], None]) -> Outcome:
    """Sends all samples by one client, then again by several at the same time.

    Args:
      way: how to send.
      inputs: samples `[N, ...]`, in the types that are sent.
      expected: as of `expected_answers`.
      concurrency: number of clients.
      check: raises an error if the work has to end; called between requests.

    Raises:
      RefusedError: the server refuses a request.
    """
    requests = list(samples_of(inputs))
    client, equal, latencies = way.client(), [], []
    try:
        for request in requests[:NUM_WARMUP]:
            client.infer(request, way.raw)
        for number, request in enumerate(requests):
            check()
            start = time.perf_counter()
            answer = client.infer(request, way.raw)
            latencies.append(time.perf_counter() - start)
            equal.append(is_equal(answer, expected, number))
    finally:
        client.close()
    seconds, together = _together(way, requests, expected, concurrency, check)
    both = sum(one and other for one, other in zip(equal, together, strict=True))
    return Outcome(way.name, both, len(requests), latencies, len(requests) / seconds)


def _together(
    way: Way, requests: Sequence[Arrays], expected: Arrays, concurrency: int, check: Callable[[], None]
) -> tuple[float, list[bool]]:
    """(seconds, whether each answer is the expected one) of requests by several clients."""
    equal, errors, stopped = [False] * len(requests), [], threading.Event()

    def work(first: int) -> None:
        client = way.client()
        try:
            for number in range(first, len(requests), concurrency):
                if stopped.is_set():
                    return
                equal[number] = is_equal(client.infer(requests[number], way.raw), expected, number)
        except Exception as error:  # raised again in the calling thread
            errors.append(error)
        finally:
            client.close()

    threads = [threading.Thread(target=work, args=(first,), daemon=True) for first in range(concurrency)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            check()
            if time.perf_counter() - start > CLIENT_LIMIT_S:
                raise PocketFlowError(f'{way.name}: clients do not end within {CLIENT_LIMIT_S:g} s')
            next(thread for thread in threads if thread.is_alive() or thread is threads[-1]).join(0.05)
    finally:
        stopped.set()
    if errors:
        raise errors[0]
    return time.perf_counter() - start, equal


def table(outcomes: Sequence[Outcome], concurrency: int) -> str:
    """The outcomes as text."""
    head = ('requests', 'equal to LiteRT', 'p50 ms', 'p99 ms', f'requests/s, {concurrency} clients')
    rows = [
        (
            outcome.name,
            f'{outcome.num_equal} of {outcome.num_samples}',
            *(f'{1e3 * float(np.percentile(outcome.latencies, share)):.2f}' for share in (50, 99)),
            f'{outcome.rate:.0f}',
        )
        for outcome in outcomes
    ]
    return format_table([head, *rows])
