"""Writes arrays into `.npy` files piece by piece, so that neither their length nor all of their rows must be known."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from pocketflow.datasets.checks import NUMBER_KINDS
from pocketflow.utils.errors import UsageError

CHUNK_BYTES = 2**24
"""Arrays are written in pieces of about this many bytes."""


class ArrayWriter:
    """Appends rows to a new `.npy` file; to be closed.

    Args:
      path: the file; an existing one is replaced.
      what: what the rows are, for messages.
    """

    def __init__(self, path: Path, what: str):
        self.what = what
        self.num_rows = 0
        self._kind: tuple[np.dtype[Any], tuple[int, ...]] | None = None
        self._digest = hashlib.sha256()
        self._file = path.open('w+b')

    def append(self, rows: np.ndarray) -> None:
        """Appends rows `[n, ...]`.

        Raises:
          UsageError: they are no numbers, or have another type or shape than those before.
        """
        kind = rows.dtype, rows.shape[1:]
        if rows.dtype.kind not in NUMBER_KINDS:
            raise UsageError(f'{self.what}: values of type {rows.dtype}; numbers are needed, such as uint8 or float32')
        if self._kind is None:
            self._kind = kind
            self._write_header()
        if kind != self._kind:
            raise UsageError(
                f'{self.what}: {_in_words(*self._kind)}, but from number {self.num_rows} on {_in_words(*kind)}; all '
                'must have the same size and type: resize them, or give a folder of images'
            )
        size = max(1, CHUNK_BYTES // max(1, rows[:1].nbytes))
        for start in range(0, len(rows), size):
            content = np.ascontiguousarray(rows[start : start + size]).tobytes()
            self._digest.update(content)
            self._file.write(content)
        self.num_rows += len(rows)

    def close(self) -> None:
        """Completes the file: its beginning holds the number of rows."""
        if self._kind is not None:
            self._file.seek(0)
            self._write_header()
        self._file.close()

    def fingerprint(self) -> str:
        """A digest of type, shape and values of all rows."""
        return f'{self._kind} {self.num_rows} {self._digest.hexdigest()}'

    def _write_header(self) -> None:
        """NumPy leaves room for any number of rows, so that the beginning always has the same length."""
        assert self._kind is not None
        dtype, shape = self._kind
        header = {
            'descr': np.lib.format.dtype_to_descr(dtype),
            'fortran_order': False,
            'shape': (self.num_rows, *shape),
        }
        np.lib.format.write_array_header_1_0(self._file, header)


def _in_words(dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    return f'{" x ".join(map(str, shape)) or "one value"} of {dtype}'
