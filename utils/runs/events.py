"""TensorBoard's files, cut back to the step from which a training goes on."""

from __future__ import annotations

import contextlib
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError

from pocketflow.utils.system import atomic

PATTERN = 'events.out.tfevents.*'
FRAME_BYTES = 16
"""What a TFRecord adds to its content: the length and two check sums."""


def rewind(folder: Path, step: int) -> None:
    """Takes out of the event files in a folder what was measured after `step`, and what a kill has torn.

    TensorBoard would draw both what was measured before a training was set back and what was measured since.
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
    """The readable records at the beginning of a file, and whether these are all."""
    records: list[bytes] = []
    with contextlib.suppress(tf.errors.DataLossError):
        for record in tf.data.TFRecordDataset(str(file), buffer_size=1 << 18).as_numpy_iterator():
            records.append(record)  # each as soon as it is read: the next may be damaged
    return records, sum(len(record) + FRAME_BYTES for record in records) == file.stat().st_size


def _is_kept(record: bytes, step: int) -> bool:
    event = _event(record)
    return event.HasField('file_version') or (event.WhichOneof('what') is not None and event.step <= step)


def _event(record: bytes) -> tf.compat.v1.Event:
    """The event; an empty one if the record is none."""
    event = tf.compat.v1.Event()
    try:
        event.ParseFromString(record)
    except DecodeError:
        return tf.compat.v1.Event()
    return event
