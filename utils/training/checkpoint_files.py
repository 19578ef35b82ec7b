"""Files of checkpoints in a folder: listing by age, integrity check, atomic writing, removal.

A checkpoint of step N is `ckpt-N.index` beside `ckpt-N.data-00000-of-00001`. The newest is the one with the most
training samples seen, independent of the files' times: clocks may be set back, and restored files may have any time.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from pocketflow.utils.errors import first_line
from pocketflow.utils.system import atomic

KEPT = 2
"""Number of checkpoints to keep: the newest, and the previous one in case the newest is damaged."""

SAMPLES_KEY = 'samples_per_step/.ATTRIBUTES/VARIABLE_VALUE'
"""Key of the number of training samples per step in a checkpoint."""

_FILE = re.compile(r'(ckpt-[0-9]{1,18})\.(?:index|data-[0-9]{5}-of-[0-9]{5})')
_LEFTOVER = re.compile(r'ckpt-[0-9]+_temp|ckpt-[0-9]+\..+\.tempstate[0-9]+')


def newest_first(folder: Path, samples_per_step: int = 1) -> list[Path]:
    """Prefixes of the checkpoints in a folder, intact or not, the newest first.

    Args:
      folder: folder of checkpoints; it may be missing.
      samples_per_step: default for checkpoints that do not store it.
    """
    names = {match[1] for file in folder.glob('ckpt-*') if (match := _FILE.fullmatch(file.name)) and file.is_file()}
    return sorted(
        (folder / name for name in names),
        key=lambda prefix: (samples_seen(prefix, samples_per_step), step_of(prefix)),
        reverse=True,
    )


def step_of(prefix: Path) -> int:
    return int(prefix.name.removeprefix('ckpt-'))


def samples_seen(prefix: Path, samples_per_step: int) -> int:
    """Number of training samples seen at a checkpoint; a step depends on the number of workers, this does not."""
    recorded = stored_value(prefix, SAMPLES_KEY)
    return step_of(prefix) * (samples_per_step if recorded is None else max(1, int(recorded)))


def stored_value(prefix: Path, key: str) -> Any | None:
    """Reads one value of a checkpoint; returns `None` if it is missing, or the checkpoint is damaged."""
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        return reader.get_tensor(key) if reader.has_tensor(key) else None
    except Exception:  # the reader raises various types for damaged files
        return None


def files_of(prefix: Path) -> list[Path]:
    """The files of one checkpoint; the index, which makes it valid, is last."""
    files = [
        file
        for file in prefix.parent.iterdir()
        if (match := _FILE.fullmatch(file.name)) and file.is_file() and match[1] == prefix.name
    ]
    return sorted(files, key=lambda file: (file.suffix == '.index', file.name))


@contextlib.contextmanager
def writing(folder: Path, step: int) -> Iterator[Path]:
    """Yields a temporary prefix for the checkpoint of a step; moves its files into the folder after the block.

    Raises:
      OSError: the folder is missing, or not writable; existing checkpoints are unchanged.
    """
    with atomic.naming(folder):
        temporary = Path(tempfile.mkdtemp(prefix=atomic.TEMPORARY_PREFIX, dir=folder))
    try:
        prefix = temporary / f'ckpt-{step}'
        yield prefix
        with atomic.naming(folder / prefix.name):
            for file in files_of(prefix):
                atomic.sync(file)
                file.replace(folder / file.name)
            atomic.sync(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_outdated(folder: Path, written: Path, samples_per_step: int) -> None:
    """Removes all checkpoints except the one just written and its predecessor.

    Checkpoints of later steps are removed, too: they are damaged, since training would have resumed from them.
    """
    present = step_of(written) * samples_per_step
    others = [prefix for prefix in newest_first(folder, samples_per_step) if prefix != written]
    earlier = [prefix for prefix in others if samples_seen(prefix, samples_per_step) <= present]
    for prefix in set(others) - set(earlier[: KEPT - 1]):
        for file in reversed(files_of(prefix)):
            file.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes incomplete checkpoints of killed processes."""
    for entry in folder.iterdir():
        if entry.name.startswith(atomic.TEMPORARY_PREFIX) or _LEFTOVER.fullmatch(entry.name):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.is_file() and not entry.is_symlink():
                entry.unlink()


def find_defect(prefix: Path) -> str | None:
    """Reads a checkpoint completely, which verifies the checksum of each value; returns its defect or `None`."""
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except Exception as error:  # the reader raises various types for damaged files
        return first_line(error)
    return None
