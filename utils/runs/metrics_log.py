"""Log of metrics, in `metrics.jsonl` and as TensorBoard events."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf
from absl import logging

from pocketflow.utils.runs import events
from pocketflow.utils.runs.records import Record, copy_damaged, parsed
from pocketflow.utils.system import atomic

LOG_NAME, EVENTS_FOLDER = 'metrics.jsonl', 'events'
LINE_SHAPE = {'stage': str, 'step': int}


class MetricsLog:
    """Appends one flushed JSON line per call, and the same values as TensorBoard scalars.

    Args:
      folder: run directory; `metrics.jsonl` and `events/` are created in it.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / LOG_NAME
        self._file = open(self._path, 'a', encoding='utf-8')  # noqa: SIM115 (until close)
        self._events = folder / EVENTS_FOLDER
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def rewind(self, stage: str, step: int) -> None:
        """Removes entries of `stage` after `step`, and a truncated last line, when an interrupted run resumes.

        Damaged lines are removed; a copy of the original file is kept beside the log.
        """
        content = self._path.read_bytes()
        *lines, tail = content.split(b'\n')
        entries = [parsed(line, LINE_SHAPE) for line in lines]
        num_damaged = sum(entry is None for entry in entries) + (bool(tail) and not tail.startswith(b'{'))
        if num_damaged:
            aside = copy_damaged(self._path)
            logging.warning(
                '%s: %d damaged line(s) left out; the file as it was is kept as %s', self._path, num_damaged, aside.name
            )
        kept = [
            line + b'\n'
            for line, entry in zip(lines, entries, strict=True)
            if entry is not None and not _is_later(entry, stage, step)
        ]
        if len(kept) < len(lines) or tail:
            self._file.close()
            with atomic.replacing(self._path) as temporary:
                temporary.write_bytes(b''.join(kept))
            self._file = open(self._path, 'a', encoding='utf-8')  # noqa: SIM115 (until close)
        if stage in self._writers:
            self._writers.pop(stage).close()
        events.rewind(self._events / stage, step)

    def write(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Logs `values` of `step` in `stage` (such as `1-chn-pruned-rmt/train`)."""
        if not self._path.exists():  # else the lines would be lost, and `events/` would be created again
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._path))
        with atomic.naming(self._path):
            self._file.write(json.dumps({'stage': stage, 'step': step, **values}) + '\n')
            self._file.flush()
        if stage not in self._writers:
            self._writers[stage] = tf.summary.create_file_writer(str(self._events / stage))
        with self._writers[stage].as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)
        self._writers[stage].flush()

    def close(self) -> None:
        """Closes the files; lines are flushed by `write`, which has raised any errors."""
        with contextlib.suppress(OSError):
            self._file.close()
        for writer in self._writers.values():
            with contextlib.suppress(tf.errors.OpError):
                writer.close()


def _is_later(entry: Record, stage: str, step: int) -> bool:
    return bool(entry['stage'] == stage and entry['step'] > step)
