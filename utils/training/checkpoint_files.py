"""The files of checkpoints in a folder: which there are, in which order, whole, and no more of them than needed.

A checkpoint of step N is `ckpt-N.index` beside `ckpt-N.data-00000-of-00001`. Which one is the newest is told by the
training samples seen, never by the time of the files: clocks are set back, and restored files have any time.
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
"""The newest checkpoint, and the one before in case that is damaged."""

SAMPLES_KEY = 'samples_per_step/.ATTRIBUTES/VARIABLE_VALUE'
"""Under which name a checkpoint holds how many training samples a step sees."""

_FILE = re.compile(r'(ckpt-[0-9]{1,18})\.(?:index|data-[0-9]{5}-of-[0-9]{5})')
_LEFTOVER = re.compile(r'ckpt-[0-9]+_temp|ckpt-[0-9]+\..+\.tempstate[0-9]+')


def newest_first(folder: Path, samples_per_step: int = 1) -> list[Path]:
    """The checkpoints in a folder, whole or not, as prefixes of their files' names.

    Args:
      folder: of checkpoints; it may be missing.
      samples_per_step: what is taken for those that do not say it.
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
    """How many training samples a checkpoint stands for: its step alone does not tell, if the workers have changed."""
    recorded = stored_value(prefix, SAMPLES_KEY)
    return step_of(prefix) * (samples_per_step if recorded is None else max(1, int(recorded)))


def stored_value(prefix: Path, key: str) -> Any | None:
    """One value of a checkpoint; `None` if it has none of that name, or is damaged."""
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        return reader.get_tensor(key) if reader.has_tensor(key) else None
    except Exception:  # the reader raises whatever the damage makes it stumble over
        return None


def files_of(prefix: Path) -> list[Path]:
    """The files of one checkpoint; the index, without which it is none, comes last."""
    files = [
        file
        for file in prefix.parent.iterdir()
        if (match := _FILE.fullmatch(file.name)) and file.is_file() and match[1] == prefix.name
    ]
    return sorted(files, key=lambda file: (file.suffix == '.index', file.name))


@contextlib.contextmanager
def writing(folder: Path, step: int) -> Iterator[Path]:
    """The prefix to write the checkpoint of a step to; it is on the disk, in the folder, when the block has ended.

    Raises:
      OSError: the folder is gone, or cannot be written to; what was in it is still there.
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
    """Removes all checkpoints but the one just written and the newest of those before it.

    Those that claim to be later were damaged when the training began, which else would have gone on from them.
    """
    present = step_of(written) * samples_per_step
    others = [prefix for prefix in newest_first(folder, samples_per_step) if prefix != written]
    earlier = [prefix for prefix in others if samples_seen(prefix, samples_per_step) <= present]
    for prefix in set(others) - set(earlier[: KEPT - 1]):
        for file in reversed(files_of(prefix)):
            file.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes what killed processes have left of checkpoints that they were writing."""
    for entry in folder.iterdir():
        if entry.name.startswith(atomic.TEMPORARY_PREFIX) or _LEFTOVER.fullmatch(entry.name):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.is_file() and not entry.is_symlink():
                entry.unlink()


def find_defect(prefix: Path) -> str | None:
    """Why a checkpoint cannot be read; `None` if all of it can: the reader compares the check sum of each value."""
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except Exception as error:  # the reader raises whatever the damage makes it stumble over
        return first_line(error)
    return None
