from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from pocketflow.utils.runs.metrics_log import MetricsLog


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
        ('a', 10, 0.5),
        ('b', 10, 0.5),
        ('b', 20, 0.25),
    ]


def events_of(folder: Path) -> list[tuple[int, float]]:
    records = (
        record
        for file in sorted(folder.glob('events.out.tfevents.*'))
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    )
    # Names of files of the same second end in a counter, and are not sorted by it.
    return sorted(
        (event.step, float(tf.make_ndarray(event.summary.value[0].tensor)))
        for event in map(tf.compat.v1.Event.FromString, records)
        if event.HasField('summary')
    )


def test_tensorboard_sees_no_step_twice(tmp_path):
    log = MetricsLog(tmp_path)
    for stage, step in (('a', 10), ('b', 10), ('b', 20)):
        log.write(stage, step, {'loss': 0.5})
    log.rewind('b', 10)  # in the same process: the file is still open
    log.write('b', 20, {'loss': 0.25})
    log.close()
    assert events_of(tmp_path / 'events' / 'b') == [(10, 0.5), (20, 0.25)]
    assert events_of(tmp_path / 'events' / 'a') == [(10, 0.5)]


@pytest.mark.parametrize(
    'damaged',
    [
        b'nonsense\n',
        b'null\n',
        b'{"stage": "b"}\n',
        b'{"stage": "b", "step": "9"}\n',
        b'\xff\xfe\n',
        b'[' * 100_000 + b'\n',
        b'\0' * 500,
        b'\n',
    ],
)
def test_damaged_lines_are_left_out_and_kept_aside(tmp_path, damaged, caplog):
    log = MetricsLog(tmp_path)
    log.write('b', 10, {'loss': 0.5})
    log.close()
    path = tmp_path / 'metrics.jsonl'
    whole = path.read_bytes()
    path.write_bytes(whole + damaged)
    log = MetricsLog(tmp_path)
    log.rewind('b', 10)
    log.close()
    assert path.read_bytes() == whole
    assert (tmp_path / 'metrics.jsonl.damaged').read_bytes() == whole + damaged
    assert f'{path}: 1 damaged line(s) left out; the file as it was is kept as metrics.jsonl.damaged' in caplog.text


def test_nothing_is_made_anew_where_the_directory_was_removed(tmp_path):
    log = MetricsLog(tmp_path / 'run')
    shutil.rmtree(tmp_path / 'run')
    with pytest.raises(FileNotFoundError) as raised:
        log.write('b', 10, {'loss': 0.5})
    log.close()
    assert raised.value.filename == str(tmp_path / 'run' / 'metrics.jsonl') and not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='no /dev/full on this system')
def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path):
    (tmp_path / 'metrics.jsonl').symlink_to('/dev/full')
    log = MetricsLog(tmp_path)
    with pytest.raises(OSError, match='No space left on device') as raised:
        log.write('b', 10, {'loss': 0.5})
    log.close()
    assert raised.value.filename == str(tmp_path / 'metrics.jsonl')
