"""Ports of the loopback device."""

from __future__ import annotations

import contextlib
import socket

LOOPBACK = '127.0.0.1'


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback device that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]
