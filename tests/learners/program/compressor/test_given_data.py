"""Which data set reads what was given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketflow.learners.program.compressor.given_data import GivenData, dataset_of
from pocketflow.utils.errors import UsageError

IMAGES, LABELS = np.zeros((4, 2, 2, 1), np.uint8), np.arange(4)


def folder_of_images(folder: Path) -> Path:
    for name in ('cat', 'dog'):
        (folder / name).mkdir(parents=True)
        Image.fromarray(np.zeros((2, 2), np.uint8)).save(folder / name / '1.png')
    return folder


@pytest.mark.parametrize(
    ('files', 'expected'),
    [(['a.npy'], 'npz'), (['train-00000-of-00002'], 'tfrecord'), (['x.tfrecord'], 'tfrecord'), ([], 'folder')],
)
def test_a_folder_is_known_by_its_files(files, expected, tmp_path):
    for name in files:
        (tmp_path / name).touch()
    assert dataset_of(str(tmp_path)) == expected


def test_other_paths_are_known_by_their_names():
    assert [dataset_of(path) for path in ('a.npz', 'gs://bucket/a', 'missing')] == ['npz', 'folder', 'folder']


def test_a_path_is_read_where_it_is():
    given = GivenData(Path('photos'), None, {})
    assert given.flags == {'dataset': 'folder', 'data_dir_local': 'photos'} and given.write is None
    assert GivenData('photos', None, {'dataset': 'digits'}).flags == {'data_dir_local': 'photos'}


def test_two_folders_become_the_parts_of_one(tmp_path):
    train, held = folder_of_images(tmp_path / 'a' / 'mine'), folder_of_images(tmp_path / 'b' / 'other')
    given = GivenData(train, held, {})
    assert given.flags == {'dataset': 'folder'}
    (tmp_path / 'new').mkdir()
    given.write(tmp_path / 'new')
    assert [(tmp_path / 'new' / name).resolve() for name in ('train', 'val')] == [train, held]
    beside = folder_of_images(tmp_path / 'c' / 'train'), folder_of_images(tmp_path / 'c' / 'val')
    assert GivenData(*beside, {}).flags['data_dir_local'] == str(tmp_path / 'c')


def test_arrays_are_written_with_their_names(tmp_path):
    given = GivenData((IMAGES, LABELS), (IMAGES[:1], LABELS[:1]), {})
    assert given.flags == {'dataset': 'npz'}
    given.write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        f'{name}.npy' for name in ('x_train', 'y_train', 'x_val', 'y_val')
    }
    assert GivenData(IMAGES, None, {}).flags == {'dataset': 'npz', 'labels': 'none'}


@pytest.mark.parametrize(
    ('train', 'evaluate', 'message'),
    [
        (None, 'photos', 'evaluate: given without train'),
        ('photos', (IMAGES, LABELS), 'evaluate: tuple given, but train is a path; give both in one form'),
        ((IMAGES, LABELS), 'photos', 'evaluate=photos: a path, but train is none'),
        ('a.npz', 'b.npz', 'evaluate=b.npz: npz has training and evaluation data at one place'),
        ((IMAGES, LABELS), IMAGES, 'only train has labels; give both with labels, or both without'),
        (IMAGES, (IMAGES, LABELS), 'only evaluate has labels'),
    ],
)
def test_what_does_not_go_together_is_refused(train, evaluate, message):
    with pytest.raises(UsageError, match=message):
        GivenData(train, evaluate, {})


def test_a_folder_that_is_missing_is_named(tmp_path):
    given = GivenData(folder_of_images(tmp_path / 'a'), tmp_path / 'b', {})
    (tmp_path / 'new').mkdir()
    with pytest.raises(UsageError, match='evaluate=.*b: there is no such folder'):
        given.write(tmp_path / 'new')
