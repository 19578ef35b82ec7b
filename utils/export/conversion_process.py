"""python -m utils.export.conversion_process: converts programs and test-runs files for a parent process.

The converter and the runtime are native code that some inputs crash. In this process a crash loses one file, not the
run; the parent's side is `ConversionProcess`. Requests are lines of JSON on the standard input, each answered by one
line of JSON on the standard output: `{}`, or `{"error": "..."}`. The process ends at the end of its input, so it does
not outlive its parent.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.program import Program, convert_program, first_reason
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.export.watched_process import volunteer_for_oom_killer

Request = Mapping[str, Any]
ONLY_ARRAY = 'outputs of the file'
"""Name of the array of a file with a single output, which no output of several has: those are identifiers."""


def convert(request: Request) -> None:
    """Writes the file `output` of the program in `folder`."""
    inputs = {name: tuple(shape) for name, shape in request['inputs'].items()}
    input_range = request['input_range'] and tuple(request['input_range'])
    program = Program(
        Path(request['folder']), request['name'], inputs, request['holds_ranges'], input_range, request['float_io']
    )
    arrays = _arrays(request['calibration'] or [])
    calibration = (arrays[0] if len(inputs) == 1 else arrays) if arrays else None
    Path(request['output']).write_bytes(convert_program(program, request['format'], calibration))


def try_out(request: Request) -> None:
    """Runs the file `path` on samples, one by one and as a batch, with all numbers of threads used for measuring."""
    samples = dict(zip(request['inputs'], _arrays(request['samples']), strict=True))
    num_samples = len(next(iter(samples.values())))
    for num_threads in request['num_threads']:
        runner = LiteRtRunner(request['path'], num_threads)
        runner.predict({name: array[:1] for name, array in samples.items()})
        runner.predict(samples, num_samples)


def predict(request: Request) -> None:
    """Runs the file `path` on samples in batches; writes the outputs by name into the npz file `output`."""
    samples = dict(zip(request['inputs'], _arrays(request['samples']), strict=True))
    outputs = LiteRtRunner(request['path'], request['num_threads']).predict(samples, request['batch_size'])
    np.savez(request['output'], **(outputs if isinstance(outputs, dict) else {ONLY_ARRAY: outputs}))


def _arrays(paths: list[str]) -> list[np.ndarray]:
    return [np.load(path, mmap_mode='r', allow_pickle=False) for path in paths]


ACTIONS: dict[str, Callable[[Request], None]] = {'convert': convert, 'try_out': try_out, 'predict': predict}


def answer(line: str) -> dict[str, str]:
    """Executes a request; returns the reply."""
    request = json.loads(line)
    tempfile.tempdir = request['temporary']
    try:
        ACTIONS[request['action']](request)
    except PocketFlowError as error:
        return {'error': str(error)}
    except Exception as error:  # the parent continues with other files
        return {'error': f'{type(error).__name__}: {first_reason(str(error))}'}
    return {}


def main() -> None:
    """Answers requests until the input ends."""
    volunteer_for_oom_killer()
    # The parent decides when this process ends: signals from the terminal or to the process group are ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), 'w', encoding='utf-8')
    os.dup2(2, 1)  # output of the converter must not be read as a reply
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    while True:
        replies.write(json.dumps(answer(requests.get())) + '\n')
        replies.flush()


def _read(requests: queue.SimpleQueue[str]) -> None:
    """Queues requests; ends the process at the end of the input, even during a conversion."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


if __name__ == '__main__':
    main()
