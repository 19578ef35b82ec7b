"""`pocketflow serve test` up to the server; with the real one: scripts/conformance/mlserver.sh."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pocketflow.learners.program.serving import testing
from pocketflow.learners.program.serving.initialising import init
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.serving.options import InitOptions, ReplayOptions
from pocketflow.utils.serving.replay import Way
from pocketflow.utils.serving.served_file import ServedFile, Tensor


@pytest.fixture
def folder(pruned_run, tmp_path):
    init(pruned_run.path, InitOptions(output=str(tmp_path / 'served'), file_format='float32'))
    return tmp_path / 'served'


class Client:
    """Answers as the file does, or, after `wrong` is set, otherwise."""

    wrong = False

    def __init__(self, path: Any):
        self._runner, self._labels = LiteRtRunner(path), (path.parent / 'labels.txt').read_text().splitlines()

    def infer(self, inputs: dict[str, np.ndarray], raw: bool = False) -> dict[str, np.ndarray]:
        scores = self._runner.predict(inputs['images']) + np.float32(self.wrong)
        return {'fc4': scores, 'labels': np.array([self._labels[place] for place in np.argmax(scores, axis=1)])}

    def close(self) -> None:
        pass


@pytest.fixture
def server(folder, monkeypatch):
    @contextlib.contextmanager
    def running(*_: Any) -> Any:
        nothing = SimpleNamespace(raise_if_requested=lambda: None)
        yield SimpleNamespace(refuse_ended=lambda: None, log_tail=lambda: 'its log'), nothing

    file = folder / 'model_float32.tflite'
    monkeypatch.setattr(testing, 'running_server', running)
    monkeypatch.setattr(testing, 'find_mlserver', lambda _: 'mlserver')
    monkeypatch.setattr(testing, 'ways', lambda *_: [Way('REST', lambda: Client(file))])


@pytest.mark.usefixtures('server')
def test_samples_of_the_run_or_random_ones_are_compared(folder, pruned_run, monkeypatch):
    options = ReplayOptions(num_samples=5, concurrency=2)
    assert testing.test(folder, options).startswith('5 random samples, one per request')
    text = testing.test(folder, options.replace(run_dir=str(pruned_run.path)))
    assert text.startswith(f'5 evaluation samples of {pruned_run.path}') and '5 of 5' in text
    monkeypatch.setattr(Client, 'wrong', True)
    with pytest.raises(PocketFlowError, match='5 answers differ from those of LiteRT'):
        testing.test(folder, options)


def test_quantized_files_are_also_asked_in_their_own_integers():
    tensor = Tensor('x', np.dtype(np.int8), (2,), 0.5)
    server: Any = SimpleNamespace(http_port=1, grpc_port=2)
    names = [(way.name, way.raw) for way in testing.ways(server, 'm', ServedFile((tensor,), (tensor,)))]
    assert names[:3] == [('REST', False), ('gRPC', False), ('gRPC, raw contents', False)]
    assert [raw for _, raw in names[3:]] == [True, True]
    plain = Tensor('x', np.dtype(np.float32), (2,))
    assert len(testing.ways(server, 'm', ServedFile((plain,), (plain,)))) == 3


def test_the_folder_is_given_or_made(folder, pruned_run, tmp_path):
    with testing.model_folder(folder) as found:
        assert found == folder
    with testing.model_folder(pruned_run.path) as found:
        assert (found / 'model-settings.json').is_file() and found != folder
    assert not found.exists()
    (tmp_path / 'model.tflite').touch()
    with pytest.raises(UsageError, match='make a folder of it'), testing.model_folder(tmp_path / 'model.tflite'):
        pass


def test_the_run_is_given_or_around_the_folder(tmp_path):
    (tmp_path / 'run/serve').mkdir(parents=True)
    assert testing.run_of(tmp_path / 'run/serve', None) is None
    (tmp_path / 'run/report.json').touch()
    assert testing.run_of(tmp_path / 'run/serve', None) == testing.run_of(tmp_path / 'run', None) == tmp_path / 'run'
    assert testing.run_of(tmp_path, 'given').name == 'given'
