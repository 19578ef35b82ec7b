"""`pocketflow serve test`: a server on this machine answers as LiteRT does, by REST and gRPC."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from pocketflow.learners.program.serving.initialising import FOLDER, init
from pocketflow.learners.program.serving.samples import evaluation_samples, random_samples
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.runs.run_directory import REPORT
from pocketflow.utils.serving.clients import GrpcClient, RefusedError, RestClient
from pocketflow.utils.serving.model_folder import is_model_folder, read_folder
from pocketflow.utils.serving.options import InitOptions, ReplayOptions
from pocketflow.utils.serving.replay import Way, coded, expected_answers, expected_outputs, replay, table
from pocketflow.utils.serving.served_file import ServedFile, read_served_file
from pocketflow.utils.serving.server import Server, find_mlserver, running_server
from pocketflow.utils.system import interrupts


def test(path: Path, options: ReplayOptions) -> str:
    """Tests the folder of a run, or a folder, and returns the table.

    Raises:
      UsageError: there is no folder, run or MLServer.
      PocketFlowError: the server does not start, refuses samples, or answers otherwise than LiteRT.
    """
    executable = find_mlserver(options.mlserver)
    with model_folder(path) as folder:
        settings = read_folder(folder)
        file = folder / Path(settings['parameters']['uri']).name
        served = read_served_file(file)
        run = run_of(path, options.run_dir)
        if run is None:
            inputs, what = random_samples(served.inputs, options.num_samples), 'random samples'
        else:
            inputs = evaluation_samples(run, served.inputs, options.num_samples, options.model_helper)
            what = f'evaluation samples of {run}'
        num_samples = len(next(iter(inputs.values())))
        logging.info('starting %s with %s', executable, folder)
        with running_server(executable, folder, settings['name'], options.time_limit) as (server, stop):
            text, num_different = _outcomes(server, stop, settings, (file, served), inputs, options.concurrency)
    text = f'{num_samples} {what}, one per request\n\n{text}'
    if num_different:
        raise PocketFlowError(f'{text}\n\n{num_different} answers differ from those of LiteRT')
    return text


@contextlib.contextmanager
def model_folder(path: Path) -> Iterator[Path]:
    """The folder to be served: the given one, that of the run, or one that is made for the block.

    Raises:
      UsageError: there is neither folder nor run.
    """
    if is_model_folder(path):
        yield path
    elif is_model_folder(path / FOLDER):
        yield path / FOLDER
    elif path.is_file():
        raise UsageError(f'{path}: is a file; make a folder of it with pocketflow serve init, and give that')
    else:
        with tempfile.TemporaryDirectory(prefix='pocketflow-served-') as folder:
            init(path, InitOptions(output=folder))
            yield Path(folder)


def run_of(path: Path, given: str | None) -> Path | None:
    """The run whose samples are sent: the given one, the path, or the folder around it; None if none is one."""
    if given is not None:
        return Path(given)
    return next((each for each in (path, path.resolve().parent) if (each / REPORT).is_file()), None)


def _outcomes(
    server: Server,
    stop: interrupts.Deferred,
    settings: dict[str, Any],
    served_file: tuple[Path, ServedFile],
    inputs: dict[str, np.ndarray],
    concurrency: int,
) -> tuple[str, int]:
    """(the table, number of answers that differ)."""
    file, served = served_file
    codes = {tensor.name: coded(tensor, inputs[tensor.name]) for tensor in served.inputs}
    outputs = expected_outputs(file, codes)
    labels = settings['parameters']['extra'].get('labels_output', '')

    def check() -> None:
        stop.raise_if_requested()
        server.refuse_ended()

    outcomes = []
    for way in ways(server, settings['name'], served):
        expected = expected_answers(served, outputs, labels, way.raw)
        try:
            outcomes.append(replay(way, codes if way.raw else inputs, expected, concurrency, check))
        except (RefusedError, OSError) as error:
            raise PocketFlowError(f'{way.name}: {error}; the end of its log:\n{server.log_tail()}') from error
    return table(outcomes, concurrency), sum(outcome.num_samples - outcome.num_equal for outcome in outcomes)


def ways(server: Server, name: str, served: ServedFile) -> list[Way]:
    """REST and gRPC, with lists of numbers and with bytes; of a quantized file also its own integers."""
    rest = functools.partial(RestClient, server.http_port, name)
    grpc = functools.partial(GrpcClient, server.grpc_port, name)
    found = [
        Way('REST', rest),
        Way('gRPC', grpc),
        Way('gRPC, raw contents', functools.partial(grpc, raw_contents=True)),
    ]
    if any(tensor.is_quantized for tensor in (*served.inputs, *served.outputs)):
        found += [Way('REST, integers of the file', rest, raw=True), Way('gRPC, integers of the file', grpc, raw=True)]
    return found
