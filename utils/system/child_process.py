"""Commands that run a module of this package in a child process."""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]
_START = """
import importlib.util, runpy, sys
sys.path[:] = [folder for folder in sys.path if folder]  # no imports from the working directory
spec = importlib.util.spec_from_file_location('pocketflow', sys.argv[1])
package = sys.modules['pocketflow'] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
runpy.run_module(sys.argv[2], run_name='__main__')
"""


def module_command(name: str) -> list[str]:
    """The command that runs the module `pocketflow....` from the same source files as this process."""
    return [sys.executable, '-c', _START, str(PACKAGE / '__init__.py'), name]
