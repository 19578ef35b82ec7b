from __future__ import annotations

from pathlib import Path

import pytest

from pocketflow.datasets.sources.labelled_images import VALIDATION_LABELS, are_synsets, find_images
from pocketflow.utils.errors import UsageError

SYNSETS = ('n00000001', 'n00000002')


@pytest.fixture
def raw(tmp_path) -> Path:
    """Two training images of each class, and three images for evaluation, whose labels are in a list."""
    for synset in SYNSETS:
        for number in (1, 2):
            path = tmp_path / 'train' / synset / f'{synset}_{number}.JPEG'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    (tmp_path / 'val').mkdir()
    for number in (1, 2, 3):
        (tmp_path / 'val' / f'ILSVRC2012_val_{number:08}.JPEG').touch()
    (tmp_path / VALIDATION_LABELS).write_text('n00000002\nn00000001\nn00000002\n')
    return tmp_path


def labels(images) -> list[tuple[str, int, str]]:
    return [(Path(image.path).name, image.label, image.synset) for image in images]


def test_the_layout_of_the_archives(raw):
    found = find_images(str(raw))
    assert found.classes == SYNSETS and are_synsets(found.classes) and not are_synsets(['cat'])
    assert labels(found.train)[1:3] == [('n00000001_2.JPEG', 1, SYNSETS[0]), ('n00000002_1.JPEG', 2, SYNSETS[1])]
    assert [label for _, label, _ in labels(found.validation)] == [2, 1, 2]


def test_folders_of_classes_for_evaluation_and_boxes(raw):
    for path in sorted((raw / 'val').iterdir()):
        path.unlink()
    (raw / 'val' / SYNSETS[1]).mkdir()
    (raw / 'val' / SYNSETS[1] / 'a.png').touch()
    boxes = raw / 'boxes.csv'
    boxes.write_text('n00000002_1.JPEG,0.1,0.2,0.3,0.4\n')
    found = find_images(str(raw), boxes=str(boxes))
    assert labels(found.validation) == [('a.png', 2, SYNSETS[1])]
    assert [len(image.boxes) for image in found.train] == [0, 0, 1, 0]
    assert found.train[2].boxes == ((0.2, 0.1, 0.4, 0.3),)


def test_a_list_gives_classes_their_labels(raw):
    listed = raw / 'synsets.txt'
    listed.write_text('n00000000\nn00000002\nn00000001\n')
    assert [label for _, label, _ in labels(find_images(str(raw), str(listed)).train)] == [3, 3, 2, 2]
    listed.write_text('n00000000\nn00000002\n')
    with pytest.raises(UsageError, match='folders that are none of the 2 classes in .*synsets.txt: n00000001'):
        find_images(str(raw), str(listed))


def test_labels_by_name(raw):
    path = raw / 'LOC_val_solution.csv'
    rows = [f'ILSVRC2012_val_{number:08},n0000000{1 + number % 2} 1 2 3 4' for number in (3, 2, 1)]
    path.write_text('\n'.join(['ImageId,PredictionString', *rows]))
    found = find_images(str(raw), validation_labels=str(path))
    assert [label for _, label, _ in labels(found.validation)] == [2, 1, 2]
    path.write_text('\n'.join(rows[:2]))
    with pytest.raises(UsageError, match='has no label of 1 images: ILSVRC2012_val_00000001.JPEG'):
        find_images(str(raw), validation_labels=str(path))


def test_what_is_missing_is_named(raw, tmp_path):
    (raw / VALIDATION_LABELS).write_text('n00000002\n')
    with pytest.raises(UsageError, match=r'has 1 labels, but .*val 3 images'):
        find_images(str(raw))
    (raw / VALIDATION_LABELS).unlink()
    with pytest.raises(UsageError, match=f'no folders of classes and no {VALIDATION_LABELS}; give --validation_labels'):
        find_images(str(raw))
    with pytest.raises(UsageError, match='holds n00000001, n00000002; expected there: train/ with one'):
        find_images(str(raw / 'train'))
    with pytest.raises(UsageError, match='cannot be listed'):
        find_images(str(tmp_path / 'none'))
