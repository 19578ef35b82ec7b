from __future__ import annotations

import json

from utils.metrics_log import MetricsLog


def test_lines_are_appended_and_events_written(tmp_path):
    for step in (1, 2):
        log = MetricsLog(tmp_path)
        log.write('full-prec/train', step, {'loss': 0.5})
        log.close()
    lines = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    assert lines == [{'stage': 'full-prec/train', 'step': step, 'loss': 0.5} for step in (1, 2)]
    assert list((tmp_path / 'events').rglob('events.out.tfevents*'))
