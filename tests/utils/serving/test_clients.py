"""Clients against small servers on this machine."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import numpy as np
import pytest

from pocketflow.utils.serving.clients import GrpcClient, RefusedError, RestClient, grpc_request, rest_request
from pocketflow.utils.serving.messages import SERVICE, message, message_class, numbers

INPUTS = {'x': np.array([[1.5, -2.0]], np.float32)}


class Handler(http.server.BaseHTTPRequestHandler):
    """Doubles the first input; refuses requests with parameters."""

    protocol_version = 'HTTP/1.1'

    def do_GET(self) -> None:
        self._answer(200 if self.path == '/v2/models/m/ready' else 404, {})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        given = request['inputs'][0]
        doubled = {**given, 'name': 'y', 'data': [2 * value for value in given['data']]}
        texts = {'name': 'labels', 'shape': [1], 'datatype': 'BYTES', 'data': ['cat']}
        if self.path != '/v2/models/m/infer' or 'parameters' in request:
            self._answer(400, {'error': 'no such thing'})
        else:
            self._answer(200, {'outputs': [doubled, texts]})

    def _answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def http_port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_rest_sends_and_reads_tensors(http_port):
    with RestClient(http_port, 'm') as client:
        assert client.is_ready()
        answer = client.infer(INPUTS)
        assert answer['y'].dtype == np.float32 and answer['y'].tolist() == [[3, -4]]
        assert answer['labels'].tolist() == ['cat']
        with pytest.raises(RefusedError, match='400: no such thing') as raised:
            client.infer(INPUTS, raw=True)
        assert raised.value.code == 400
        assert client.infer(INPUTS)['y'].tolist() == [[3, -4]]  # the connection goes on


def test_a_server_that_is_not_there_is_not_ready_and_answers_nothing(http_port):
    with RestClient(http_port, 'other') as client:
        assert not client.is_ready()
    with RestClient(1, 'm', timeout=1) as client:
        assert not client.is_ready()
        with pytest.raises(ConnectionError, match='no answer'):
            client.infer(INPUTS)


def test_rest_requests_hold_shape_type_and_flat_values():
    assert rest_request({'x': np.array([[1, 2]], np.int8)}, raw=True) == {
        'inputs': [{'name': 'x', 'shape': [1, 2], 'datatype': 'INT8', 'data': [1, 2]}],
        'parameters': {'raw': True},
    }


@pytest.fixture
def grpc_port() -> Iterator[int]:
    """A server that doubles the first input, and answers in the form of the request."""
    import grpc

    def infer(request: Any, context: Any) -> Any:
        if request.model_name != 'm':
            context.abort(grpc.StatusCode.NOT_FOUND, 'no such model')
        raw = request.raw_input_contents[0] if request.raw_input_contents else None
        values = 2 * numbers(request.inputs[0], raw)
        response = message('ModelInferResponse', model_name='m')
        output = response.outputs.add(name='y', datatype='FP32', shape=values.shape)
        if raw is None:
            output.contents.fp32_contents.extend(values.ravel().tolist())
        else:
            response.raw_output_contents.append(values.astype('<f4').tobytes())
        return response

    def ready(request: Any, context: Any) -> Any:
        return message('ModelReadyResponse', ready=request.name == 'm')

    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            work, message_class(f'{name}Request').FromString, lambda answer: answer.SerializeToString()
        )
        for name, work in (('ModelInfer', infer), ('ModelReady', ready))
    }
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE.strip('/'), handlers),))
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    yield port
    server.stop(None).wait()


@pytest.mark.parametrize('raw_contents', [False, True])
def test_grpc_sends_and_reads_tensors(grpc_port, raw_contents):
    with GrpcClient(grpc_port, 'm', raw_contents) as client:
        assert client.is_ready()
        answer = client.infer(INPUTS)['y']
    assert answer.dtype == np.float32 and answer.tolist() == [[3, -4]]


def test_grpc_names_the_status(grpc_port):
    with GrpcClient(grpc_port, 'other') as client:
        assert not client.is_ready()
        with pytest.raises(RefusedError, match='NOT_FOUND: no such model') as raised:
            client.infer(INPUTS)
    assert raised.value.code == 'NOT_FOUND'


def test_grpc_requests_carry_the_raw_flag():
    assert grpc_request('m', INPUTS, raw=True).parameters['raw'].bool_param
    assert not grpc_request('m', INPUTS).parameters
