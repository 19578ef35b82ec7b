"""Horovod's part in starting workers over Gloo: the assignment of ranks, and the rendezvous server."""

from __future__ import annotations

import contextlib
import hmac
import secrets
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from pocketflow.scripts.workers.agent import address_towards
from pocketflow.scripts.workers.hosts import Host
from pocketflow.utils.errors import UsageError

LOOPBACK = '127.0.0.1'
METHODS = ('GET', 'PUT', 'DELETE')
SECRET_BYTES = 24


@contextlib.contextmanager
def rendezvous(hosts: Sequence[Host]) -> Iterator[tuple[list[dict[str, str]], str]]:
    """Serves the rendezvous of the workers of these hosts, all slots of which are used, within the block.

    Yields:
      The environment of each worker, by rank, with its host's name in `HOROVOD_HOSTNAME`; and the server's address.

    Raises:
      UsageError: Horovod is not installed.
    """
    gloo, assignments, http = _horovod()
    assigned = assignments.get_host_assignments(
        [assignments.HostInfo(host.name, host.slots) for host in hosts], sum(host.slots for host in hosts)
    )
    address, secret = server_address(hosts), secrets.token_urlsafe(SECRET_BYTES)
    with serving(http, address, secret) as server:
        server.init(assigned)
        port = server.server_port
        shared = gloo.create_run_env_vars(f'{address}:{port}/{secret}', ['unknown'], port)
        # Each host determines its own interface, see agent.py; Horovod's common name is dropped.
        shared.pop('HOROVOD_GLOO_IFACE')
        shared.pop('NCCL_SOCKET_IFNAME')
        yield (
            [
                {**{name: str(value) for name, value in shared.items()}, **gloo.create_slot_env_vars(slot)}
                for slot in assigned
            ],
            address,
        )


@contextlib.contextmanager
def serving(http: Any, address: str, secret: str) -> Iterator[Any]:
    """Horovod's rendezvous server at one address of this machine, for clients with the secret.

    Horovod's client asks for `http://ADDRESS:PORT/SCOPE/KEY`, whatever the address is: with `HOST:PORT/SECRET` it asks
    `HOST:PORT` for `/SECRET:PORT/SCOPE/KEY`.

    Args:
      http: the module `horovod.runner.http.http_server`.
    """

    class Handler(http.RendezvousHandler):
        """Rejects other methods, for which the base class would serve files of the working directory."""

        def parse_request(self) -> bool:
            if not super().parse_request():
                return False
            prefix = f'/{secret}:{self.server.server_port}/'
            known = hmac.compare_digest(self.path[: len(prefix)].encode(), prefix.encode())
            if not known or self.command not in METHODS:
                self.send_status_code(404)
                return False
            self.path = self.path[len(prefix) - 1 :]
            return True

    server = http.RendezvousHTTPServer((address, 0), Handler, verbose=0)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def server_address(hosts: Sequence[Host]) -> str:
    """An address of this machine that all hosts can reach."""
    remote = [host.name for host in hosts if not host.is_local]
    return address_towards(socket.gethostbyname(remote[0])) if remote else LOOPBACK


def _horovod() -> tuple[Any, Any, Any]:
    # This file only starts workers; their communication is in utils/distributed/multi_gpu_wrapper.py.
    try:
        from horovod.runner import gloo_run  # noqa: TID251
        from horovod.runner.common.util import hosts  # noqa: TID251
        from horovod.runner.http import http_server  # noqa: TID251
    except ImportError as error:
        raise UsageError(
            f'Horovod is not installed ({error}); several workers need it: build it by scripts/install_horovod.sh'
        ) from error
    return gloo_run, hosts, http_server
