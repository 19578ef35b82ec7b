"""Clients of the Open Inference Protocol: REST by the standard library, gRPC by grpcio; MLServer is not needed."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from pocketflow.utils.errors import PocketFlowError, first_line
from pocketflow.utils.serving.messages import CONTENTS, SERVICE, message, message_class, numbers
from pocketflow.utils.serving.served_file import DATATYPES
from pocketflow.utils.system.ports import LOOPBACK

TIMEOUT_S = 30.0
"""Seconds for an answer."""
Arrays = Mapping[str, np.ndarray]


class RefusedError(PocketFlowError):
    """A request was answered with an error.

    Attributes:
      code: the status of HTTP, or the name of gRPC's.
    """

    def __init__(self, code: int | str, text: str):
        super().__init__(f'{code}: {text}')
        self.code, self.text = code, text


class Client(Protocol):
    """What replays samples; each instance is used by one thread."""

    def infer(self, inputs: Arrays, raw: bool = False) -> dict[str, np.ndarray]:
        """The outputs for inputs `[N, ...]`; with `raw` in the types of the file.

        Raises:
          RefusedError: the server refuses the request.
          ConnectionError: it does not answer.
        """

    def close(self) -> None:
        """Ends the connection."""


class Closing:
    """A client as a context manager."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RestClient(Closing):
    """Requests over HTTP, on one connection.

    Args:
      port: of the server on this machine.
      model: name of the model.
      timeout: seconds for an answer.
    """

    def __init__(self, port: int, model: str, timeout: float = TIMEOUT_S):
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)
        self._path = f'/v2/models/{model}'

    def is_ready(self) -> bool:
        """Whether the model is loaded."""
        try:
            return self._send('GET', f'{self._path}/ready')[0] == http.client.OK
        except OSError:
            return False

    def infer(self, inputs: Arrays, raw: bool = False) -> dict[str, np.ndarray]:
        """See `Client`."""
        return rest_outputs(self.post(rest_request(inputs, raw)))

    def post(self, request: bytes | Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request, which may be any bytes."""
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        status, answer = self._send('POST', f'{self._path}/infer', body)
        if status != http.client.OK:
            raise RefusedError(status, _error_text(answer))
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        self._connection.close()

    def _send(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, body, {'Content-Type': 'application/json'})
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # the next request begins a new one
            raise ConnectionError(f'no answer: {first_line(error)}') from error


def rest_request(inputs: Arrays, raw: bool = False) -> dict[str, Any]:
    """A request of REST as JSON."""
    tensors = [
        {
            'name': name,
            'shape': list(array.shape),
            'datatype': DATATYPES[array.dtype.name],
            'data': array.ravel().tolist(),
        }
        for name, array in inputs.items()
    ]
    return {'inputs': tensors, **({'parameters': {'raw': True}} if raw else {})}


def rest_outputs(answer: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of an answer."""
    types = {value: np.dtype(key) for key, value in DATATYPES.items()}
    return {
        item['name']: np.array(item['data'], types.get(item['datatype'])).reshape(item['shape'])
        for item in answer['outputs']
    }


def _error_text(answer: bytes) -> str:
    """The message in an answer that refuses: MLServer's `error`, or FastAPI's `detail`."""
    with contextlib.suppress(ValueError, AttributeError):
        found = json.loads(answer)
        return str(found.get('error') or found.get('detail') or found)
    return answer.decode(errors='replace')


class GrpcClient(Closing):
    """Requests over gRPC, on one channel.

    Args:
      port: of the server on this machine.
      model: name of the model.
      raw_contents: whether tensors travel as their bytes instead of lists of numbers.
      timeout: seconds for an answer.
    """

    def __init__(self, port: int, model: str, raw_contents: bool = False, timeout: float = TIMEOUT_S):
        import grpc  # loads slowly

        self._error = grpc.RpcError
        self._channel = grpc.insecure_channel(f'{LOOPBACK}:{port}', options=[('grpc.max_send_message_length', -1)])
        self._infer, self._ready = (self._method(name) for name in ('ModelInfer', 'ModelReady'))
        self._model, self._raw_contents, self._timeout = model, raw_contents, timeout

    def _method(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = self._channel.unary_unary(
            f'{SERVICE}/{name}',
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=message_class(f'{name}Response').FromString,
        )
        return method

    def is_ready(self) -> bool:
        """Whether the model is loaded."""
        try:
            return bool(self._ready(message('ModelReadyRequest', name=self._model), timeout=self._timeout).ready)
        except self._error:
            return False

    def infer(self, inputs: Arrays, raw: bool = False) -> dict[str, np.ndarray]:
        """See `Client`."""
        return grpc_outputs(self.send(grpc_request(self._model, inputs, raw, self._raw_contents)))

    def send(self, request: Any) -> Any:
        """The response to a `ModelInferRequest`."""
        try:
            return self._infer(request, timeout=self._timeout)
        except self._error as error:
            raise RefusedError(error.code().name, error.details() or first_line(error)) from error

    def close(self) -> None:
        self._channel.close()


def grpc_request(model: str, inputs: Arrays, raw: bool = False, raw_contents: bool = False) -> Any:
    """A `ModelInferRequest`."""
    request = message('ModelInferRequest', model_name=model)
    if raw:
        request.parameters['raw'].bool_param = True
    for name, array in inputs.items():
        datatype = DATATYPES[array.dtype.name]
        tensor = request.inputs.add(name=name, datatype=datatype, shape=array.shape)
        if raw_contents:
            request.raw_input_contents.append(array.astype(array.dtype.newbyteorder('<')).tobytes())
        else:
            getattr(tensor.contents, CONTENTS[datatype]).extend(array.ravel().tolist())
    return request


def grpc_outputs(response: Any) -> dict[str, np.ndarray]:
    """The arrays of a `ModelInferResponse`."""
    raw = list(response.raw_output_contents) or [None] * len(response.outputs)
    return {output.name: numbers(output, content) for output, content in zip(response.outputs, raw, strict=True)}
