"""Which workers a job has for `--engine=tf`: from `TF_CONFIG`, or through the rendezvous of Horovod's launchers."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence

from pocketflow.utils.errors import UsageError

SCOPE = 'pocketflow_tf'
PATIENCE_S = 300.0
POLL_S = 0.1
TRAINING_ROLES = ('chief', 'worker')
HOW_TO_START = 'start the workers by scripts/run_horovod.sh, or set TF_CONFIG for each'


def cluster_of(environment: Mapping[str, str]) -> tuple[list[str], int]:
    """The addresses `host:port` of all workers by rank, and the rank of this one.

    Raises:
      UsageError: the environment has neither a valid `TF_CONFIG` nor the variables of Horovod's launchers, or another
        worker did not announce its address.
    """
    if environment.get('TF_CONFIG'):
        return parse_tf_config(environment['TF_CONFIG'])
    try:
        rank, size = int(environment['HOROVOD_RANK']), int(environment['HOROVOD_SIZE'])
        address, port = environment['HOROVOD_GLOO_RENDEZVOUS_ADDR'], int(environment['HOROVOD_GLOO_RENDEZVOUS_PORT'])
    except (KeyError, ValueError) as error:
        raise UsageError(
            f'--engine=tf: neither TF_CONFIG nor the variables of a launcher are set ({error}); {HOW_TO_START}'
        ) from error
    return meet(f'http://{address}:{port}/{SCOPE}', rank, size), rank


def parse_tf_config(text: str) -> tuple[list[str], int]:
    """Addresses and rank of a `TF_CONFIG`; a chief comes before the workers.

    >>> parse_tf_config('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}')
    (['a:1', 'b:1'], 1)
    """
    try:
        config = json.loads(text)
        cluster, role, index = config['cluster'], config['task']['type'], int(config['task']['index'])
        chiefs, others = (list(cluster.get(name, ())) for name in TRAINING_ROLES)
        addresses = [*chiefs, *others]
        if role not in TRAINING_ROLES:
            raise UsageError(f'--engine=tf: TF_CONFIG has the task {role!r}; accepted are: {", ".join(TRAINING_ROLES)}')
        rank = index if role == 'chief' else len(chiefs) + index
        if not 0 <= index < len(cluster[role]) or not all(isinstance(address, str) for address in addresses):
            raise ValueError(f'no {role} {index}')
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f'--engine=tf: TF_CONFIG is not valid ({error}): {text[:200]}') from error
    return addresses, rank


def local_place(addresses: Sequence[str], rank: int) -> tuple[int, int]:
    """Rank of a worker among those of its machine, and their number.

    >>> local_place(['a:1', 'b:1', 'b:2'], 2)
    (1, 2)
    """
    hosts = [address.rpartition(':')[0] for address in addresses]
    return hosts[:rank].count(hosts[rank]), hosts.count(hosts[rank])


def meet(url: str, rank: int, size: int, patience: float = PATIENCE_S) -> list[str]:
    """Announces a free port of this machine to the other workers; returns the addresses of all, by rank.

    Args:
      url: where the rendezvous server keeps values; it answers 404 for one that was not written yet.
      rank: of this worker.
      size: number of workers.
      patience: seconds to wait for the others.

    Raises:
      UsageError: the server cannot be reached, or a worker has announced nothing in time.
    """
    end = time.monotonic() + patience
    try:
        _ask(urllib.request.Request(f'{url}/{rank}', free_address(url).encode(), method='PUT'))
        return [_wait_for(f'{url}/{other}', other, end) for other in range(size)]
    except OSError as error:
        raise UsageError(f'--engine=tf: the rendezvous server does not answer ({error}); {HOW_TO_START}') from error


def free_address(url: str) -> str:
    """An address of this machine that the machine of the URL can reach, and a free port."""
    server = str(urllib.parse.urlsplit(url).hostname)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((server, 9))  # sends nothing
        host = probe.getsockname()[0]
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((host, 0))
        return f'{host}:{listener.getsockname()[1]}'


def _wait_for(url: str, worker: int, end: float) -> str:
    while time.monotonic() < end:
        try:
            return _ask(urllib.request.Request(url)).decode()
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
        time.sleep(POLL_S)
    raise UsageError(f'--engine=tf: worker {worker} did not announce its address in time; see its output')


def _ask(request: urllib.request.Request) -> bytes:
    # No proxy: the server is one of the job's machines.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        content: bytes = answer.read()
    return content
