"""Sends requests that do not fit to a served folder, by REST and gRPC, while another client sends good ones.

Started by `scripts/conformance/mlserver.sh`, or as

    python scripts/conformance/malformed.py FOLDER --mlserver=ENVIRONMENT/bin/mlserver

Prints a line per request. The exit code is 1 if REST answers one with another status than 4xx, gRPC accepts one, a
good request is not answered as by LiteRT, or the server does not live to the end. `--server_batching` turns on
MLServer's own batching in a copy of the folder, to show what it does with the good requests.
"""

from __future__ import annotations

import pocketflow.scripts.quiet_tensorflow  # noqa: F401  isort: skip

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pocketflow.learners.program.serving.samples import random_samples
from pocketflow.main import guarded
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.serving.clients import GrpcClient, RefusedError, RestClient, grpc_request, rest_request
from pocketflow.utils.serving.model_folder import MODEL_SETTINGS, read_folder
from pocketflow.utils.serving.replay import coded, expected_answers, expected_outputs, is_equal, samples_of
from pocketflow.utils.serving.served_file import read_served_file
from pocketflow.utils.serving.server import Server, find_mlserver, running_server

NUM_NEIGHBOURS = 3
"""Clients that send good requests all the time."""
NUM_ROUNDS = 5
"""Times that each request is sent, with a short pause, so that it meets others."""
TIMEOUT_S = 5.0
"""Seconds for an answer."""
LATE = 'DEADLINE_EXCEEDED'
LONGEST = 100
"""Characters of a message that are shown."""
Change = Callable[[Any], Any]


def _first(**changes: Any) -> Change:
    """A change of the first input of a request of REST."""
    return lambda request: request['inputs'][0].update(changes)


def rest_cases(most: int) -> dict[str, Change]:
    """Name -> change of a good request of REST; one that returns bytes sends these."""

    def longer(request: Any) -> None:
        request['inputs'][0]['shape'][0] = most + 1
        request['inputs'][0]['data'] = request['inputs'][0]['data'] * (most + 1)

    def shorter(request: Any) -> None:
        request['inputs'][0]['data'] = request['inputs'][0]['data'][:-1]

    def with_value(value: Any) -> Change:
        return lambda request: request['inputs'][0]['data'].__setitem__(0, value)

    return {
        'no JSON': lambda request: b'{"inputs": [',
        'empty object': lambda request: b'{}',
        'NaN': lambda request: json.dumps(with_value(float('nan'))(request) or request).encode(),
        'text in the data': with_value('one'),
        'null in the data': with_value(None),
        'number beyond float32': with_value(1e300),
        'data no list': _first(data=5),
        'data of unequal rows': _first(data=[[1.0, 2.0], [3.0]]),
        'one value missing': shorter,
        'unknown input': _first(name='other'),
        'input given twice': lambda request: request['inputs'].append(request['inputs'][0]),
        'no input': lambda request: request.update(inputs=[]),
        'unknown output': lambda request: request.update(outputs=[{'name': 'other'}]),
        'unknown datatype': _first(datatype='FP8'),
        'datatype BYTES': _first(datatype='BYTES'),
        'fractions as INT8': _first(datatype='INT8'),
        'shape without batch': lambda request: request['inputs'][0]['shape'].pop(0),
        'negative size': lambda request: request['inputs'][0]['shape'].__setitem__(0, -1),
        'no sample': lambda request: request['inputs'][0].update(
            shape=[0, *request['inputs'][0]['shape'][1:]], data=[]
        ),
        'huge shape': lambda request: request['inputs'][0]['shape'].__setitem__(0, 2**40),
        'too many samples': longer,
    }


def grpc_cases(most: int, megabytes: int) -> dict[str, Change]:
    """Name -> change of a good `ModelInferRequest`, whose values are listed in `fp32_contents`."""

    def longer(request: Any) -> None:
        request.inputs[0].shape[0] = most + 1
        request.inputs[0].contents.fp32_contents.extend(list(request.inputs[0].contents.fp32_contents) * most)

    def raw(number: int) -> Change:
        def change(request: Any) -> None:
            values = np.array(request.inputs[0].contents.fp32_contents, np.float32).tobytes()
            request.inputs[0].ClearField('contents')
            request.raw_input_contents.append(values[:number])

        return change

    return {
        'one value missing': lambda request: request.inputs[0].contents.fp32_contents.pop() and None,
        'NaN': lambda request: request.inputs[0].contents.fp32_contents.__setitem__(0, float('nan')),
        'unknown input': lambda request: setattr(request.inputs[0], 'name', 'other'),
        'no input': lambda request: request.ClearField('inputs'),
        'unknown output': lambda request: request.outputs.add(name='other') and None,
        'unknown datatype': lambda request: setattr(request.inputs[0], 'datatype', 'FP8'),
        'fractions as INT8': lambda request: setattr(request.inputs[0], 'datatype', 'INT8'),
        'negative size': lambda request: request.inputs[0].shape.__setitem__(0, -1),
        'too many samples': longer,
        'raw contents too short': raw(-4),
        f'message of {megabytes + 1} MB': lambda request: request.raw_input_contents.append(
            bytes((megabytes + 1) << 20)
        ),
        'unknown model': lambda request: setattr(request, 'model_name', 'other'),
    }


class Neighbours:
    """Clients that send good requests until they are stopped.

    Attributes:
      counts: answers that are equal to those of LiteRT, that differ, refusals, and requests without an answer.
    """

    def __init__(self, make: list[Callable[[], Any]], requests: list[Any], expected: Any):
        self.counts = dict.fromkeys(('equal', 'different', 'refused', 'unanswered'), 0)
        self._stopped, self._lock = threading.Event(), threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, args=(one, requests, expected), daemon=True) for one in make
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, make: Callable[[], Any], requests: list[Any], expected: Any) -> None:
        with make() as client:
            while not self._stopped.is_set():
                for number, request in enumerate(requests):
                    try:
                        equal = is_equal(client.infer(request), expected, number)
                        outcome = 'equal' if equal else 'different'
                    except (RefusedError, OSError) as error:
                        outcome = 'unanswered' if getattr(error, 'code', LATE) == LATE else 'refused'
                    with self._lock:
                        self.counts[outcome] += 1

    def stop(self) -> dict[str, int]:
        self._stopped.set()
        for thread in self._threads:
            thread.join(60)
        return self.counts


def sent(send: Callable[[Any], Any], make: Callable[[], Any], change: Change) -> tuple[str, str]:
    """(code, one line) of the answer to a changed request."""
    code, text = '', ''
    for _ in range(NUM_ROUNDS):
        request = make()
        changed = change(request)
        try:
            send(changed if isinstance(changed, bytes) else request)
            return 'accepted', ''
        except RefusedError as error:
            code, text = str(error.code), error.text
        except OSError as error:
            return 'no answer', str(error)
        time.sleep(0.01)
    return code, text


def check(folder: Path, executable: str, with_gate: bool) -> None:
    """Runs all cases against a server; prints the table, raises a `PocketFlowError` if one fails."""
    settings = read_folder(folder)
    file, name = folder / Path(settings['parameters']['uri']).name, settings['name']
    served, extra = read_served_file(file), settings['parameters']['extra']
    inputs = random_samples(served.inputs, 16)
    codes = expected_outputs(file, {tensor.name: coded(tensor, inputs[tensor.name]) for tensor in served.inputs})
    expected = expected_answers(served, codes, extra.get('labels_output', ''), raw=False)
    requests = list(samples_of(inputs))
    with running_server(executable, folder, name, 60) as (server, _):
        makers: list[Callable[[], Any]] = [
            lambda: RestClient(server.http_port, name, TIMEOUT_S),
            *[lambda: GrpcClient(server.grpc_port, name, timeout=TIMEOUT_S)] * (NUM_NEIGHBOURS - 1),
        ]
        neighbours = Neighbours(makers, requests, expected)
        rows = _rows(server, name, requests[0], extra['max_request_samples'])
        counts = neighbours.stop()
        server.refuse_ended()
    for case, protocol, code, text in rows:
        print(f'{case:24} {protocol} {code:18} {text[:LONGEST]}')
    print('good requests at the same time: ' + ', '.join(f'{number} {what}' for what, number in counts.items()))
    wrong = [row[0] for row in rows if row[2] == 'accepted' or (row[1] == 'REST' and not row[2].startswith('4'))]
    if with_gate and (wrong or counts['equal'] < sum(counts.values())):
        raise PocketFlowError(f'not refused as they should be: {", ".join(wrong) or "none"}; good requests: {counts}')


def _rows(server: Server, name: str, inputs: Any, most: int) -> list[tuple[str, str, str, str]]:
    rows = []
    with RestClient(server.http_port, name, TIMEOUT_S) as rest:
        for case, change in rest_cases(most).items():
            rows.append((case, 'REST', *sent(rest.post, lambda: rest_request(inputs), change)))
    with GrpcClient(server.grpc_port, name, timeout=TIMEOUT_S) as grpc:
        for case, change in grpc_cases(most, 16).items():
            rows.append((case, 'gRPC', *sent(grpc.send, lambda: grpc_request(name, inputs), change)))
    return [(case, protocol, code, ' '.join(text.split())) for case, protocol, code, text in rows]


def with_server_batching(folder: Path, copy: Path) -> Path:
    """A copy of a folder in which MLServer joins requests itself."""
    shutil.copytree(folder, copy)
    settings = json.loads((copy / MODEL_SETTINGS).read_text())
    settings |= {'max_batch_size': 8, 'max_batch_time': 0.02}
    (copy / MODEL_SETTINGS).write_text(json.dumps(settings))
    return copy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='folder of pocketflow serve init, of a file with one float input')
    parser.add_argument('--mlserver', help='executable of MLServer')
    parser.add_argument('--server_batching', action='store_true', help="with MLServer's own batching; no failure")
    arguments = parser.parse_args()
    executable = find_mlserver(arguments.mlserver)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder
        if arguments.server_batching:
            folder = with_server_batching(folder, Path(temporary) / 'model')
        check(folder, executable, with_gate=not arguments.server_batching)


if __name__ == '__main__':
    sys.exit(guarded(main, debug=False))
