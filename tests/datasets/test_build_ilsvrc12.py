"""Records are built of small photographs and digits of scikit-learn, and read by the data set."""

from __future__ import annotations

import contextlib
import json
import logging as python_logging
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from absl import logging
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from pocketflow.datasets import build_ilsvrc12
from pocketflow.datasets.build_ilsvrc12 import BAD_IMAGES, RECORD, main, num_shards
from pocketflow.datasets.ilsvrc12_dataset import Ilsvrc12Dataset
from pocketflow.datasets.ilsvrc12_options import Ilsvrc12Options
from pocketflow.datasets.sources.record_writing import make_example
from pocketflow.utils.errors import UsageError
from tests.datasets.sources.conftest import encoded


@pytest.fixture(autouse=True)
def _logging():
    """The program logs its progress; other tests of this process do not."""
    root, verbosity = python_logging.getLogger(), logging.get_verbosity()
    handlers = list(root.handlers)
    yield
    root.handlers[:] = handlers
    logging.set_verbosity(verbosity)


SYNSETS = ('n00000001', 'n00000002', 'n00000003')


def write_raw(folder: Path) -> Path:
    """Training images of two photographs and of digits, 4 of each class; 5 evaluation images in one folder."""
    photographs = load_sample_images().images
    digits = load_digits().images * 15.9
    for number, synset in enumerate(SYNSETS):
        for each in range(4):
            if number < 2:
                left = 120 * each
                image = Image.fromarray(photographs[number][100:196, left : left + 120])
            else:
                image = Image.fromarray(digits[each].astype(np.uint8)).resize((40, 40))
            path = folder / 'train' / synset / f'{synset}_{each}.JPEG'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(image, 'JPEG', quality=95))
    (folder / 'val').mkdir()
    for number in range(5):
        pixels = np.full([32, 48, 3], 40 * number, np.uint8)
        (folder / 'val' / f'ILSVRC2012_val_{number:08}.JPEG').write_bytes(encoded(Image.fromarray(pixels), 'JPEG'))
    lines = '\n'.join(SYNSETS[number % 3] for number in range(5))
    (folder / 'val' / 'imagenet_2012_validation_synset_labels.txt').write_text(lines)
    return folder


@pytest.fixture(scope='module')
def raw(tmp_path_factory) -> Path:
    return write_raw(tmp_path_factory.mktemp('raw'))


def run(raw, where, *arguments, shards=(3, 2)) -> int:
    numbers = [f'--train_shards={shards[0]}', f'--validation_shards={shards[1]}']
    return main([f'--raw_dir={raw}', f'--output_dir={where}', '--nb_threads=2', *numbers, *arguments])


def test_records_are_read_back_by_the_data_set(raw, tmp_path, capsys):
    boxes = tmp_path / 'boxes.csv'
    boxes.write_text('n00000001_0.JPEG,0.1,0.2,0.3,0.4\n')
    assert run(raw, tmp_path / 'out', f'--bounding_boxes={boxes}') == 0
    assert '12 train images in 3 files, 5 validation images in 2 files, 5 of them new' in capsys.readouterr().out
    data = Ilsvrc12Dataset(
        Ilsvrc12Options(data_dir_local=str(tmp_path / 'out'), image_size='28', scale='none', num_outputs=1000)
    )
    found = list(data.ordered_batches('eval').as_numpy_iterator())
    images, labels = (np.concatenate(part) for part in zip(*found, strict=True))
    numbers = np.rint(images.mean(axis=(1, 2, 3)) / 40).astype(int)
    assert sorted(numbers) == [0, 1, 2, 3, 4] and labels.tolist() == [number % 3 for number in numbers]
    assert np.bincount(data.source('train').labels).tolist() == [4, 4, 4]
    (images, _), *_ = data.train_batches(np.arange(12)).take(1).as_numpy_iterator()
    assert images.shape == (64, 28, 28, 3) and images.std() > 10


def test_files_that_are_there_are_kept(raw, tmp_path, capsys):
    assert run(raw, tmp_path) == 0
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir() if '-of-' in path.name}
    times = {name: (tmp_path / name).stat().st_mtime_ns for name in files}
    (tmp_path / 'train-00001-of-00003').unlink()
    (tmp_path / '.tmp-abc').write_text('left by a killed process')
    assert run(raw, tmp_path) == 0
    assert '1 of them new' in capsys.readouterr().out and not (tmp_path / '.tmp-abc').exists()
    assert files == {path.name: path.read_bytes() for path in tmp_path.iterdir() if '-of-' in path.name}
    changed = [name for name in files if (tmp_path / name).stat().st_mtime_ns != times[name]]
    assert changed == ['train-00001-of-00003']
    assert len(json.loads((tmp_path / RECORD).read_text())['classes']) == 3


def test_files_of_another_build_are_refused_and_removed_on_demand(raw, tmp_path, capsys):
    assert run(raw, tmp_path) == 0
    assert run(raw, tmp_path, '--seed=1') == 2
    assert 'holds files that were made otherwise' in capsys.readouterr().err
    assert run(raw, tmp_path, '--overwrite', shards=(2, 1)) == 0
    names = sorted(path.name for path in tmp_path.iterdir() if '-of-' in path.name)
    assert names == ['train-00000-of-00002', 'train-00001-of-00002', 'validation-00000-of-00001']


def test_images_that_cannot_be_used_are_listed_and_left_out_on_demand(tmp_path, capsys):
    raw = write_raw(tmp_path / 'raw')
    cut, empty = (raw / 'train' / SYNSETS[0] / f'{SYNSETS[0]}_{number}.JPEG' for number in (1, 2))
    cut.write_bytes(cut.read_bytes()[:1000])
    empty.write_bytes(b'')
    assert run(raw, tmp_path / 'out', shards=(6, 2)) == 1
    assert '2 images cannot be used and are listed in' in capsys.readouterr().err
    lines = (tmp_path / 'out' / BAD_IMAGES).read_text().splitlines()
    assert sorted(line.split('\\t')[0] for line in lines) == [str(cut), str(empty)]
    there = [path for path in (tmp_path / 'out').iterdir() if '-of-' in path.name]
    assert len(there) in (6, 7)  # both may be in one file
    assert run(raw, tmp_path / 'out', '--skip_bad_images', shards=(6, 2)) == 0
    assert f'left out are listed in {tmp_path / "out" / BAD_IMAGES}' in capsys.readouterr().out
    options = Ilsvrc12Options(data_dir_local=str(tmp_path / 'out'), image_size='28')
    assert len(Ilsvrc12Dataset(options).source('train')) == 10


def test_a_signal_leaves_no_file_that_is_not_whole(raw, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        'pocketflow.datasets.sources.record_writing.make_example',
        lambda image: os.kill(os.getpid(), signal.SIGTERM) or make_example(image),
    )
    assert run(raw, tmp_path) == 143
    assert 'the same command continues from here' in capsys.readouterr().err
    assert not list(tmp_path.glob('.tmp-*')) and len(list(tmp_path.glob('*-of-*'))) < 5


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--train_shards=13'], '--train_shards=13: there are only 12 train images; give at most so many'),
        (['--train_shards=0'], 'must be a whole number >= 1'),
        (['--raw=x'], 'unrecognized arguments'),
        (['--classes=none.txt'], 'none.txt: No such file'),
    ],
)
def test_wrong_arguments_take_one_line(raw, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) if 'must be' in message or 'unrec' in message else contextlib.nullcontext() as end:
        assert run(raw, tmp_path / 'out', *arguments) == 2
    assert end is None or end.value.code == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert message in line and not (tmp_path / 'out').exists()


def test_numbers_of_files():
    assert num_shards('train', None, 1281167) == 1024 and num_shards('validation', None, 50000) == 128
    assert num_shards('train', None, 3) == 1 and num_shards('train', 3, 3) == 3


def test_more_classes_than_there_are_in_ilsvrc12_are_refused(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(build_ilsvrc12, 'NUM_CLASSES', 2)
    options = build_ilsvrc12.BuildOptions(raw, tmp_path)
    with pytest.raises(UsageError, match='3 classes .*; ILSVRC-12 has 2; else give --dataset=folder'):
        build_ilsvrc12.build(options)
