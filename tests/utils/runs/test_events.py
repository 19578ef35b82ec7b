"""TensorBoard shows each step once, also of a run that was killed and goes on."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from pocketflow.utils.runs import events


def write(folder: Path, *steps: int, keep_open: bool = False) -> None:
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        for step in steps:
            tf.summary.scalar('loss', 0.5, step=step)
    writer.flush()
    writer.close()


def steps(folder: Path) -> list[int]:
    records = (
        record
        for file in sorted(folder.glob(events.PATTERN))
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    )
    return [event.step for event in map(tf.compat.v1.Event.FromString, records) if event.HasField('summary')]


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.iterdir()}


def test_later_steps_go_and_the_others_stay(tmp_path):
    write(tmp_path, 10, 20, 30)
    events.rewind(tmp_path, 20)
    assert steps(tmp_path) == [10, 20] and len(content(tmp_path)) == 1
    before = content(tmp_path)
    events.rewind(tmp_path, 25)
    assert content(tmp_path) == before
    events.rewind(tmp_path, 5)
    assert not content(tmp_path)


def test_a_torn_end_goes_also_where_all_steps_stay(tmp_path):
    write(tmp_path, 10, 20)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for torn in (whole[:-3], whole + b'\0' * 100, whole + b'nonsense'):
        file.write_bytes(torn)
        events.rewind(tmp_path, 99)
        assert steps(tmp_path) == ([10] if len(torn) < len(whole) else [10, 20])


def test_damaged_files_are_no_obstacle(tmp_path):
    for number, nonsense in enumerate((b'', b'nonsense', b'\0' * 5000)):
        (tmp_path / f'events.out.tfevents.{number}.v2').write_bytes(nonsense)
    (tmp_path / 'events.out.tfevents.9').mkdir()
    events.rewind(tmp_path, 5)
    assert steps_of_files(tmp_path) == []
    events.rewind(tmp_path / 'missing', 5)


def steps_of_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file() and path.stat().st_size]
