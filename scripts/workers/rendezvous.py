"""Horovod's part in starting workers over Gloo: who is which rank, and the server where the workers find each other."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from scripts.workers.agent import address_towards
from scripts.workers.hosts import Host
from utils.errors import UsageError

LOOPBACK = '127.0.0.1'


@contextlib.contextmanager
def rendezvous(hosts: Sequence[Host]) -> Iterator[tuple[list[dict[str, str]], str]]:
    """Within the block the workers of these hosts, all slots taken, can find each other.

    Yields:
      The environment of each worker, by rank, with its host's name in `HOROVOD_HOSTNAME`; and the server's address.

    Raises:
      UsageError: Horovod is not installed.
    """
    gloo, assignments, server_class = _horovod()
    assigned = assignments.get_host_assignments([assignments.HostInfo(host.name, host.slots) for host in hosts],
                                                sum(host.slots for host in hosts))
    server = server_class()
    port = server.start()
    server.init(assigned)
    address = server_address(hosts)
    shared = gloo.create_run_env_vars(address, ['unknown'], port)
    # Each host finds its own interface, see agent.py; Horovod's name for all of them is dropped.
    shared.pop('HOROVOD_GLOO_IFACE')
    shared.pop('NCCL_SOCKET_IFNAME')
    try:
        yield [{**{name: str(value) for name, value in shared.items()}, **gloo.create_slot_env_vars(slot)}
               for slot in assigned], address
    finally:
        server.stop()


def server_address(hosts: Sequence[Host]) -> str:
    """This machine's address, as all hosts can reach it."""
    remote = [host.name for host in hosts if not host.is_local]
    return address_towards(socket.gethostbyname(remote[0])) if remote else LOOPBACK


def _horovod() -> tuple[Any, Any, Any]:
    # This file starts workers; what they say to each other is utils/multi_gpu_wrapper.py's affair.
    try:
        from horovod.runner import gloo_run  # noqa: TID251
        from horovod.runner.common.util import hosts  # noqa: TID251
        from horovod.runner.http.http_server import RendezvousServer  # noqa: TID251
    except ImportError as error:
        raise UsageError(f'Horovod is not installed ({error}); several workers need it: build it by '
                         'scripts/install_horovod.sh') from error
    return gloo_run, hosts, RendezvousServer
