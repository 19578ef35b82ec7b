"""One place where measured numbers go: `metrics.jsonl` and TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from utils import atomic


class MetricsLog:
    """Appends one flushed JSON line per call, and the same numbers as TensorBoard scalars.

    Args:
      folder: run directory; `metrics.jsonl` and `events/` are made in it.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / 'metrics.jsonl'
        self._file = open(self._path, 'a', encoding='utf-8')  # noqa: SIM115 (until close)
        self._events = str(folder / 'events')
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def rewind(self, stage: str, step: int) -> None:
        """Forgets what was written of `stage` after `step`, where a killed run goes on, and a torn last line."""
        lines = self._path.read_text(encoding='utf-8').splitlines(keepends=True)
        kept = [line for line in lines if line.endswith('\n') and not _is_later(json.loads(line), stage, step)]
        if kept != lines:
            self._file.close()
            atomic.write_text(self._path, ''.join(kept))
            self._file = open(self._path, 'a', encoding='utf-8')  # noqa: SIM115 (until close)

    def write(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Files `values`, measured at `step` of `stage` (as in `1-chn-pruned-rmt/train`)."""
        self._file.write(json.dumps({'stage': stage, 'step': step, **values}) + '\n')
        self._file.flush()
        if stage not in self._writers:
            self._writers[stage] = tf.summary.create_file_writer(f'{self._events}/{stage}')
        with self._writers[stage].as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)
        self._writers[stage].flush()

    def close(self) -> None:
        self._file.close()
        for writer in self._writers.values():
            writer.close()


def _is_later(entry: Mapping, stage: str, step: int) -> bool:
    return entry['stage'] == stage and entry['step'] > step
