"""SIGTERM and SIGINT: the handler only sets a flag, and the program ends at a safe point, with exit code 143 or 130.

An exception from a handler may be raised in any instruction: in a weak reference's callback or a finalizer, where
Python prints and ignores it, or within a library that converts it to another error. Therefore handlers do not raise:

* code calls `check()` at safe points: between stages, batches, layers, files;
* if no safe point is reached within `GRACE_S`, as in a long native call, the process is ended. Files are written
  atomically, so that this loses no more than the exception would;
* a `deferred` block, such as a training, decides itself when to stop, and has time to write its checkpoint;
* a second signal ends the process immediately.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from absl import logging

SIGNALS = (signal.SIGTERM, signal.SIGINT)
EXIT_CODES = tuple(128 + signum for signum in SIGNALS)
GRACE_S = 3.0
"""Seconds until work outside of `deferred` blocks must reach a safe point."""
SAME_REQUEST_S = 2.0
"""Signals within this many seconds are one request: `timeout` and cluster schedulers signal a process and its group."""


class Interrupted(BaseException):
    """The process was asked to stop. Not an `Exception`, so that `except Exception` does not treat it as a failure."""

    def __init__(self, signum: int):
        super().__init__(f'stopped by {signal.Signals(signum).name}')
        self.signum = signum
        self.exit_code = 128 + signum


class Deferred:
    """State of a request to stop, polled by the work of a `deferred` block.

    Attributes:
      signum: number of the first signal; None if none has arrived.
    """

    signum: int | None = None

    def raise_if_requested(self) -> None:
        if self.signum is not None:
            raise Interrupted(self.signum)


class _Handler(Deferred):
    """Handler of both signals.

    Python calls handlers only between two instructions of the main thread. The wake-up descriptor is written
    immediately, even while native code runs in the main thread, so a thread that reads it performs urgent actions.
    """

    def __init__(self, grace: float, same_request: float):
        self._grace, self._same_request = grace, same_request
        self._since: float | None = None
        self._handled, self._seen = False, threading.Event()
        self._on_signal: list[Callable[[], None]] = []
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self._handled, self.signum = True, self.signum or signum

    @property
    def is_deferred(self) -> bool:
        """Whether the program is in a `deferred` block."""
        return bool(self._on_signal)

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handles both signals within the block; must be called by the main thread."""
        receiver, sender = socket.socketpair()
        sender.setblocking(False)
        thread = threading.Thread(target=self._watch, args=(receiver,), daemon=True)
        thread.start()
        wakeup = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        previous = {signum: signal.signal(signum, self) for signum in SIGNALS}
        try:
            yield
        finally:
            for signum, old in previous.items():
                signal.signal(signum, old)
            signal.set_wakeup_fd(wakeup)
            sender.close()
            thread.join()
            receiver.close()
            self._cancel()

    @contextlib.contextmanager
    def deferring(self, on_signal: Callable[[], None]) -> Iterator[None]:
        with self._lock:
            self._on_signal.append(on_signal)
            if self.signum is not None:
                on_signal()
        try:
            yield
        except Interrupted:
            self._forget()
            raise
        finally:
            with self._lock:
                self._on_signal.pop()
                if self.signum is not None:
                    self._give_grace()

    def _forget(self) -> None:
        """Clears the request after `Interrupted` was raised; the program may catch that and continue."""
        if self._handled:
            self._seen.wait(1)  # until the thread has processed this signal; otherwise it would count as a new one
        with self._lock:
            self._cancel()
            self._seen.clear()
            self._handled, self.signum, self._since = False, None, None

    def _watch(self, receiver: socket.socket) -> None:
        for number in iter(lambda: receiver.recv(1), b''):
            if number[0] in SIGNALS:
                self._arrived(number[0])

    def _arrived(self, signum: int) -> None:
        now = time.monotonic()
        if self._since is None:
            self._since, self.signum = now, self.signum or signum
            with self._lock:
                for on_signal in self._on_signal:
                    on_signal()
                self._give_grace()
            self._seen.set()
        elif now - self._since > self._same_request:
            end_process(self.signum or signum, 'asked twice; the same command continues from the last checkpoint')

    def _give_grace(self) -> None:
        self._cancel()
        self._timer = threading.Timer(self._grace, self._end_unless_deferred)
        self._timer.daemon = True
        self._timer.start()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _end_unless_deferred(self) -> None:
        if self.signum is not None and not self.is_deferred:
            end_process(self.signum, 'the same command continues from what is written')


def leave(code: int) -> NoReturn:
    """Exits the process after its work was stopped and unwound.

    TensorFlow's threads may still compute; a regular shutdown of the interpreter takes seconds, or aborts.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def end_process(signum: int, what_next: str) -> NoReturn:
    """Exits the process without unwinding; logs it if that is possible within a second."""

    def say() -> None:
        logging.info('stopped by %s: %s', signal.Signals(signum).name, what_next)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()

    # Another thread may hold the locks of the log or of the streams and never release them.
    speaker = threading.Thread(target=say, daemon=True)
    speaker.start()
    speaker.join(1)
    os._exit(128 + signum)


def _installed_handler() -> _Handler | None:
    """The installed handler, if it is a `_Handler`."""
    handler = signal.getsignal(signal.SIGTERM)
    return handler if isinstance(handler, _Handler) else None


@contextlib.contextmanager
def watched(grace: float = GRACE_S, same_request: float = SAME_REQUEST_S) -> Iterator[None]:
    """Within the block and at its end, a signal raises `Interrupted` at the next safe point (see the module)."""
    handler = _Handler(grace, same_request)
    with handler.installed():
        yield
        handler.raise_if_requested()


@contextlib.contextmanager
def deferred(on_signal: Callable[[], None] = lambda: None) -> Iterator[Deferred]:
    """Within the block signals only set a flag; the block calls `raise_if_requested()` where it can stop.

    A signal that arrived before, without a safe point since, counts.

    Args:
      on_signal: called, usually from another thread, when a signal arrives, to stop work outside Python.
    """
    with contextlib.ExitStack() as stack:
        handler = _installed_handler()
        if handler is None and threading.current_thread() is not threading.main_thread():
            yield Deferred()  # only the main thread may handle signals
            return
        if handler is None:
            handler = _Handler(GRACE_S, SAME_REQUEST_S)
            stack.enter_context(handler.installed())
        stack.enter_context(handler.deferring(on_signal))
        yield handler


def check() -> None:
    """A safe point: raises `Interrupted` if a signal has arrived and no `deferred` block is active."""
    handler = _installed_handler()
    if handler is not None and not handler.is_deferred:
        handler.raise_if_requested()


@contextlib.contextmanager
def ended_at_once() -> Iterator[None]:
    """Both signals end the process immediately within the block, which must not begin any work to be saved."""
    check()
    former = {signum: signal.signal(signum, signal.SIG_DFL) for signum in SIGNALS}
    try:
        yield
    finally:
        for signum, handler in former.items():
            signal.signal(signum, handler)


def end_at_once() -> None:
    """Makes Ctrl-C end the process as SIGTERM does, without a `KeyboardInterrupt`, which may get lost.

    Used during imports, before there is anything to save.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
