"""Where the workers of `--engine=tf` find each other."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pocketflow.utils.distributed.tf_cluster import cluster_of, meet
from pocketflow.utils.errors import UsageError


def tf_config(role: str, index: int) -> dict[str, str]:
    cluster = {'chief': ['a:1'], 'worker': ['b:1', 'b:2'], 'ps': ['c:1']}
    return {'TF_CONFIG': json.dumps({'cluster': cluster, 'task': {'type': role, 'index': index}})}


def test_a_chief_comes_before_the_workers_and_other_tasks_do_not_train():
    assert cluster_of(tf_config('chief', 0)) == (['a:1', 'b:1', 'b:2'], 0)
    assert cluster_of(tf_config('worker', 1)) == (['a:1', 'b:1', 'b:2'], 2)
    with pytest.raises(UsageError, match="has the task 'ps'; accepted are: chief, worker"):
        cluster_of(tf_config('ps', 0))


@pytest.mark.parametrize('text', ['{', '[]', '{"cluster": {}}', tf_config('worker', 2)['TF_CONFIG']])
def test_a_tf_config_that_is_not_valid_takes_one_line(text: str):
    with pytest.raises(UsageError, match='TF_CONFIG is not valid') as raised:
        cluster_of({'TF_CONFIG': text})
    assert '\n' not in str(raised.value)


def test_without_a_launcher_it_is_said_how_to_start():
    with pytest.raises(
        UsageError, match=r'HOROVOD_RANK.*start the workers by scripts/run_horovod.sh, or set TF_CONFIG'
    ):
        cluster_of({})


@pytest.fixture
def server() -> Iterator[str]:
    """A server of values, as Horovod's: 404 for what was not written."""
    values: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            values[self.path] = self.rfile.read(int(self.headers['Content-Length']))
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200 if self.path in values else 404)
            self.end_headers()
            self.wfile.write(values.get(self.path, b''))

        def log_message(self, *arguments) -> None:
            pass

    serving = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True).start()
    yield f'127.0.0.1/secret:{serving.server_port}'
    serving.shutdown()
    serving.server_close()


def test_workers_meet(server: str):
    host, _, port = server.partition('/secret:')
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda rank: meet(f'http://{host}:{port}/secret', rank, 2), range(2)))
    assert found[0] == found[1] and len(set(found[0])) == 2
    assert all(address.startswith('127.0.0.1:') for address in found[0])


def test_a_worker_that_does_not_come_is_named(server: str):
    host, _, port = server.partition('/secret:')
    with pytest.raises(UsageError, match='worker 1 did not announce its address in time'):
        meet(f'http://{host}:{port}/secret', 0, 2, patience=0.01)


def test_a_missing_server_takes_one_line():
    with pytest.raises(UsageError, match='the rendezvous server does not answer'):
        meet('http://127.0.0.1:1/secret', 0, 2)
