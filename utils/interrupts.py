"""SIGTERM and SIGINT: finish the step, write a checkpoint, leave with 143 or 130."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

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
def deferred() -> Iterator[Deferred]:
    """Within the block both signals are only noted; the block asks `raise_if_requested()` where it can stop."""
    noted = Deferred()

    def handle(signum, frame):
        noted.signum = signum

    with _handlers(handle):
        yield noted
