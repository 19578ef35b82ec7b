"""Integrity checks of a run's models and exported files."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from pocketflow.utils.runs.records import DamagedRecordError, Record


def refuse_damaged(path: Path, remedy: str) -> None:
    """Raises a `DamagedRecordError` if a `.keras` file of a run is missing or damaged.

    Args:
      path: the file.
      remedy: advice for the message, such as 'delete ... to ...'.
    """
    reason = find_defect(path)
    if reason is not None:
        raise DamagedRecordError(f'{path}: {reason}; {remedy}')


def find_defect(path: Path, num_bytes: int | None = None) -> str | None:
    """Describes the defect of a file; `None` if none is found.

    Args:
      path: a `.keras` file, whose checksums are verified, or any other file.
      num_bytes: expected size, if known.
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
    return None if damaged is None else f'is damaged (the checksum of its part {damaged} is wrong)'


def damaged_files(run: Path, report: Record) -> list[str]:
    """One message for each file of a finished run that is missing or does not match the report."""
    return [
        f'{name} {reason}'
        for name, num_bytes in dict(_files(report)).items()
        if (reason := find_defect(run / name, num_bytes)) is not None
    ]


def _files(report: Record) -> Iterator[tuple[str, int]]:
    """Name and size of the files in a report."""
    before, after = report['baseline'], report['compressed']
    yield 'model.keras', after['keras_bytes']
    yield from ((item['path'], item['bytes']) for item in report['exports'])
    if report['verdict']:
        folder = Path(before['file']).parent
        yield (folder / 'model.keras').as_posix(), before['keras_bytes']
        yield before['file'], before['file_bytes']
