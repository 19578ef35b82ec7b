"""SIGTERM and SIGINT: finish the step, write a checkpoint, leave with 143 or 130."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(BaseException):
    """The process was asked to stop. Not an `Exception`: nothing on the way out may mistake it for a failure."""

    def __init__(self, signum: int):
        super().__init__(f'stopped by {signal.Signals(signum).name}')
        self.exit_code = 128 + signum


class Deferred:
    """What arrived while a piece of work was not to be torn apart."""

    signum: int | None = None

    def raise_if_requested(self) -> None:
        if self.signum is not None:
            raise Interrupted(self.signum)


@contextlib.contextmanager
def _watching(on_signal: Callable[[], None]) -> Iterator[None]:
    """Calls `on_signal` from a thread when a signal arrives, also while native code keeps the main thread busy.

    Python runs its own handlers only between two instructions of the main thread; the wake-up descriptor is written at
    once.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)

    def watch() -> None:
        for number in iter(lambda: receiver.recv(1), b''):
            if number[0] in SIGNALS:
                on_signal()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    previous = signal.set_wakeup_fd(sender.fileno())
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        sender.close()
        thread.join()
        receiver.close()


@contextlib.contextmanager
def _handlers(handler) -> Iterator[None]:
    previous = {signum: signal.signal(signum, handler) for signum in SIGNALS}
    try:
        yield
    finally:
        for signum, old in previous.items():
            signal.signal(signum, old)


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Within the block both signals raise `Interrupted` at once."""

    def handle(signum, frame):
        raise Interrupted(signum)

    with _handlers(handle):
        yield


@contextlib.contextmanager
def deferred(on_signal: Callable[[], None] = lambda: None) -> Iterator[Deferred]:
    """Within the block both signals are only noted; the block asks `raise_if_requested()` where it can stop.

    Args:
      on_signal: called from another thread as soon as a signal arrives, to tell work outside Python to stop.
    """
    noted = Deferred()

    def handle(signum, frame):
        noted.signum = signum

    with _handlers(handle), _watching(on_signal):
        yield noted
