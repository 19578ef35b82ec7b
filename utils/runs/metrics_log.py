"""One place where measured numbers go: `metrics.jsonl` and TensorBoard."""

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
from pocketflow.utils.runs.records import Record, parsed, set_aside
from pocketflow.utils.system import atomic

LOG_NAME, EVENTS_FOLDER = 'metrics.jsonl', 'events'
LINE_SHAPE = {'stage': str, 'step': int}


class MetricsLog:
    """Appends one flushed JSON line per call, and the same numbers as TensorBoard scalars.

    Args:
      folder: run directory; `metrics.jsonl` and `events/` are made in it.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / LOG_NAME
        self._file = open(self._path, 'a', encoding='utf-8')  # noqa: SIM115 (until close)
        self._events = folder / EVENTS_FOLDER
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def rewind(self, stage: str, step: int) -> None:
        """Forgets what was written of `stage` after `step`, where a killed run goes on, and a torn last line.

        Lines that are damaged are left out; the file as it was is kept beside the log.
        """
        content = self._path.read_bytes()
        *lines, tail = content.split(b'\n')
        entries = [parsed(line, LINE_SHAPE) for line in lines]
        num_damaged = sum(entry is None for entry in entries) + (bool(tail) and not tail.startswith(b'{'))
        if num_damaged:
            aside = set_aside(self._path)
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
        """Files `values`, measured at `step` of `stage` (as in `1-chn-pruned-rmt/train`)."""
        if not self._path.exists():  # the open file would go on into nothing, and `events/` be made anew
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
        """All is written already; what could not be was said then."""
        with contextlib.suppress(OSError):
            self._file.close()
        for writer in self._writers.values():
            with contextlib.suppress(tf.errors.OpError):
                writer.close()


def _is_later(entry: Record, stage: str, step: int) -> bool:
    return bool(entry['stage'] == stage and entry['step'] > step)
