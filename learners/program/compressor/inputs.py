"""Keeps networks and data that are given as Python objects as files, so that a run can be continued and repeated."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from pocketflow.utils.runs.run_directory import INPUTS_FOLDER
from pocketflow.utils.system.atomic import TEMPORARY_PREFIX, naming


class Inputs:
    """A folder with one folder per object, named after its content: the same object has the same path again.

    Args:
      parent: the run directory, or that of all runs; it is created when something is kept.
    """

    def __init__(self, parent: Path):
        self.folder = parent / INPUTS_FOLDER
        self._added: list[Path] = []
        self._created: list[Path] = []

    def keep(self, write: Callable[[Path], str]) -> Path:
        """The folder of an object.

        Args:
          write: writes the object's files into a new folder, and returns a text that tells their content.

        Raises:
          OSError: the disk is full, or must not be written to.
        """
        self._create(self.folder)
        with naming(self.folder):
            temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=self.folder))
        try:
            place = self.folder / hashlib.sha256(write(temporary).encode()).hexdigest()[:12]
            if not place.exists():
                os.chmod(temporary, 0o755)
                os.replace(temporary, place)
                self._added.append(place)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return place

    def remove_unused(self, lines: Iterable[str]) -> None:
        """Removes what was added and is not named in the flag file of a run.

        Args:
          lines: those of the flag file; empty if the run did not begin.
        """
        text = '\n'.join(lines)
        for folder in self._added:
            if str(folder) not in text:
                shutil.rmtree(folder, ignore_errors=True)
        for folder in reversed(self._created):
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()

    def _create(self, folder: Path) -> None:
        if not folder.is_dir():
            self._create(folder.parent)
            folder.mkdir()
            self._created.append(folder)
