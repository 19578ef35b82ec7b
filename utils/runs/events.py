"""Truncates TensorBoard's event files to the step from which a training resumes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError

from pocketflow.utils.system import atomic

PATTERN = 'events.out.tfevents.*'
FRAME_BYTES = 16
"""Overhead of a TFRecord: the length and two checksums."""


def rewind(folder: Path, step: int) -> None:
    """Removes events after `step` and truncated records from the event files in a folder.

    Otherwise TensorBoard would draw both the values from before the interruption and the new ones.
    """
    for file in sorted(folder.glob(PATTERN)):
        if file.is_file():
            _cut(file, step)


def _cut(file: Path, step: int) -> None:
    records, is_whole = _records(file)
    kept = [record for record in records if _is_kept(record, step)]
    if is_whole and len(kept) == len(records):
        return
    if all(_event(record).HasField('file_version') for record in kept):
        file.unlink()
        return
    with atomic.replacing(file) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
        for record in kept:
            writer.write(record)


def _records(file: Path) -> tuple[list[bytes], bool]:
    """The readable records at the beginning of a file, and whether the whole file was read."""
    records: list[bytes] = []
    with contextlib.suppress(tf.errors.DataLossError):
        for record in tf.data.TFRecordDataset(str(file), buffer_size=1 << 18).as_numpy_iterator():
            records.append(record)  # immediately, since reading the next may fail
    return records, sum(len(record) + FRAME_BYTES for record in records) == file.stat().st_size


def _is_kept(record: bytes, step: int) -> bool:
    event = _event(record)
    return event.HasField('file_version') or (event.WhichOneof('what') is not None and event.step <= step)


def _event(record: bytes) -> tf.compat.v1.Event:
    """Parses an event; returns an empty one if the record is invalid."""
    event = tf.compat.v1.Event()
    try:
        event.ParseFromString(record)
    except DecodeError:
        return tf.compat.v1.Event()
    return event
