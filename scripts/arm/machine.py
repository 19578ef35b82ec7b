"""A machine that runs files: this one, or an emulated one."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import numpy as np

PROGRAM = Path(__file__).with_name('run_litert.py')


class CrashError(Exception):
    """A file crashed on a machine."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine, given by its Python interpreter; `folder` is for the exchange of files."""

    name: str
    python: str
    folder: Path

    def run(self, file: Path, inputs: np.ndarray) -> np.ndarray:
        """Runs a file: inputs [N, ...] -> outputs [N, ...], both of the file's types.

        Raises:
          CrashError: the program failed, or wrote no outputs.
        """
        given, made = self.folder / 'inputs.npy', self.folder / 'outputs.npy'
        np.save(given, inputs)
        made.unlink(missing_ok=True)
        ended = subprocess.run([self.python, PROGRAM, file, given, made], capture_output=True, text=True, check=False)
        if ended.returncode or not made.exists():
            said = ended.stderr.strip().splitlines()[-1:] or [f'exit code {ended.returncode}']
            raise CrashError(f'CRASHES on {self.name}: {said[0]}')
        return np.load(made)
