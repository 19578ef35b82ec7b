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


def test_a_killed_run_goes_on_without_repeating_lines(tmp_path):
    log = MetricsLog(tmp_path)
    for stage, step in (('a', 10), ('b', 10), ('b', 20)):
        log.write(stage, step, {'loss': 0.5})
    log.close()
    with (tmp_path / 'metrics.jsonl').open('a') as file:
        file.write('{"stage": "b", "st')  # torn by the kill
    log = MetricsLog(tmp_path)
    log.rewind('b', 10)
    log.write('b', 20, {'loss': 0.25})
    log.close()
    lines = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    assert [(line['stage'], line['step'], line['loss']) for line in lines] == [
        ('a', 10, 0.5), ('b', 10, 0.5), ('b', 20, 0.25)]
