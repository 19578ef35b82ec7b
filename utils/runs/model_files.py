"""Whether the models and exported files of a run are still what was written."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from pocketflow.utils.runs.records import DamagedRecordError, Record


def refuse_damaged(path: Path, remedy: str) -> None:
    """Raises a `DamagedRecordError` if a `.keras` file of a run is gone or damaged.

    Args:
      path: the file.
      remedy: what to do then, as 'delete ... to ...'.
    """
    reason = what_is_wrong(path)
    if reason is not None:
        raise DamagedRecordError(f'{path}: {reason}; {remedy}')


def what_is_wrong(path: Path, num_bytes: int | None = None) -> str | None:
    """Why a file cannot be the one that was written; `None` if nothing tells so.

    Args:
      path: a `.keras` file, of which the check sums are compared, or any other one.
      num_bytes: its length, if known.
    """
    if not path.is_file():
        return 'is gone'
    if num_bytes is not None and path.stat().st_size != num_bytes:
        return f'is damaged ({path.stat().st_size:,} of {num_bytes:,} bytes)'
    return _damage_of_archive(path) if path.suffix == '.keras' else None


def _damage_of_archive(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        return f'is damaged ({error})'
    return None if damaged is None else f'is damaged (the check sum of its part {damaged} is wrong)'


def damaged_files(run: Path, report: Record) -> list[str]:
    """One phrase for each file of a finished run that is gone or is not the one that the report is about."""
    return [
        f'{name} {reason}'
        for name, num_bytes in dict(_files(report)).items()
        if (reason := what_is_wrong(run / name, num_bytes)) is not None
    ]


def _files(report: Record) -> Iterator[tuple[str, int]]:
    """Name and length of the files that a report is about."""
    before, after = report['baseline'], report['compressed']
    yield 'model.keras', after['keras_bytes']
    yield from ((item['path'], item['bytes']) for item in report['exports'])
    if report['verdict']:
        folder = Path(before['file']).parent
        yield (folder / 'model.keras').as_posix(), before['keras_bytes']
        yield before['file'], before['file_bytes']
