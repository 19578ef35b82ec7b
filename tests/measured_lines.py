"""Line coverage at a fraction of a tracer's cost, for Python before 3.12.

There, coverage.py's tracer is called for each call and line of all code, TensorFlow's and Keras' included. SlipCover
inserts a probe before each line of the measured files when they are imported, and leaves all others alone. pytest-cov
and coverage.py do the rest as they do for later versions: settings, combination of the processes, report, minimum.
The processes that tests start are traced.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import coverage
import pytest
import slipcover


class MeasuredLines:
    """Takes the place of coverage.py's tracer in a process of pytest; to be made before the package is imported."""

    def __init__(self) -> None:
        self._coverage: coverage.Coverage | None = None
        # Probes stay: to take them out replaces functions' code.
        self._probes = slipcover.Slipcover(d_miss_threshold=-1)
        # SlipCover takes the word 'frozen', the origin of Python's own compiled modules, for a file in this folder.
        omit = [*coverage.Coverage().get_option('run:omit'), 'frozen']
        slipcover.ImportManager(self._probes, slipcover.FileMatcher(omit=omit)).__enter__()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Stops the tracer: pytest-cov has started it by now, in each process."""
        self._coverage = coverage.Coverage.current()
        if self._coverage is not None:
            self._coverage.stop()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Adds the lines before pytest-cov saves the data, which it does after the same hook."""
        result = yield
        if self._coverage is not None:
            files = self._probes.get_coverage()['files']
            lines = {os.path.realpath(name): file['executed_lines'] for name, file in files.items()}
            self._coverage.get_data().add_lines(lines)
        return result
