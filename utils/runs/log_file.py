"""Logging: short lines on the terminal, and the same lines in the run directory."""

from __future__ import annotations

import contextlib
import logging as python_logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from absl import logging

from pocketflow.utils.system import atomic

ROOT = Path(__file__).resolve().parents[2]
OUR_PARTS = ('main.py', 'learners', 'hp_optimizer', 'rl_agents', 'nets', 'datasets', 'utils')
FORMAT = python_logging.Formatter('%(asctime)s %(message)s', datefmt='%H:%M:%S')


def start(debug: bool) -> None:
    """Logs to the standard error stream; `debug` enables debug messages."""
    handler = python_logging.StreamHandler(sys.stderr)
    handler.setFormatter(FORMAT)
    logger = python_logging.getLogger('absl')
    # Not absl's own handler: it requires parsed flags in absl's global registry, which is not used here.
    logger.handlers, logger.propagate = [handler], False
    logger.addFilter(_is_shown)
    logging.set_verbosity(logging.DEBUG if debug else logging.INFO)


@contextlib.contextmanager
def started(debug: bool, quiet: bool = False) -> Iterator[None]:
    """As `start`, within the block, for programs with a logging of their own, which is as it was afterwards.

    Args:
      debug: whether debug messages are shown.
      quiet: whether only warnings and errors are shown; files still get all lines.
    """
    logger = python_logging.getLogger('absl')
    before = logger.handlers, logger.propagate, list(logger.filters), logging.get_verbosity()
    try:
        start(debug)
        if quiet:
            logger.handlers[0].setLevel(python_logging.WARNING)
        yield
    finally:
        logger.handlers, logger.propagate, logger.filters = before[:3]
        logging.set_verbosity(before[3])


def _is_shown(record: python_logging.LogRecord) -> bool:
    """Filter: passes records of PocketFlow, and of other libraries only warnings and errors."""
    path = Path(record.pathname)
    # An installed PocketFlow is in the libraries' folder itself.
    ours = path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OUR_PARTS
    return record.levelno >= python_logging.WARNING or ours or 'site-packages' not in path.parts


class _LogFile(python_logging.FileHandler):
    """File handler that raises write errors, such as a full disk; `logging` would print a traceback for each line."""

    def handleError(self, record: python_logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif threading.current_thread() is threading.main_thread():
            with atomic.naming(self.baseFilename):
                raise error


@contextlib.contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Also appends all log lines to a file within the block."""
    handler = _LogFile(path, encoding='utf-8')
    handler.setFormatter(FORMAT)
    logger = python_logging.getLogger('absl')
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        with contextlib.suppress(OSError):  # write errors were raised before
            handler.close()
