"""The benchmark of LiteRT itself, which its package brings along, for comparison with this project's timing.

It times a file in a process of its own, through the `CompiledModel` interface, on random inputs.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from pocketflow.utils.errors import PocketFlowError

MODULE = 'ai_edge_litert.tools.benchmark_litert_model'
NOT_THERE = f'the installed ai-edge-litert has no {MODULE}: no comparison with the times of its own tool'
TIME_LIMIT = 600.0
COMPARABLE_MS = 0.1
"""The tool rounds to 0.01 ms, more than a tenth of shorter times."""


def is_there() -> bool:
    """Whether the installed package has the tool; older ones do not."""
    with contextlib.suppress(ModuleNotFoundError):  # without its package
        return importlib.util.find_spec(MODULE) is not None
    return False


def median_ms(path: Path, num_runs: int, num_warmup: int, num_threads: int = 1) -> float:
    """The median time of one call in milliseconds, rounded to 0.01.

    Raises:
      PocketFlowError: the tool fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / 'result.json'
        words = {
            'model': path,
            'num_runs': num_runs,
            'warmup_runs': num_warmup,
            'num_threads': num_threads,
            'result_json': result,
        }
        command = [sys.executable, '-m', MODULE, *(f'--{name}={value}' for name, value in words.items())]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=TIME_LIMIT)
        except subprocess.TimeoutExpired:
            raise PocketFlowError(f'{path}: {MODULE} took longer than {TIME_LIMIT:g} seconds') from None
        if done.returncode or not result.is_file():
            last = (done.stderr.strip().splitlines() or ['no reason given'])[-1]
            raise PocketFlowError(f'{path}: {MODULE} failed (exit code {done.returncode}: {last[:200]})')
        return float(json.loads(result.read_text(encoding='utf-8'))['latency']['median_ms'])
