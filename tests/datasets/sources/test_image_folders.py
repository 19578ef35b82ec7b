from __future__ import annotations

import os

import pytest

from pocketflow.datasets.sources.image_folders import (
    class_names,
    find_plain_trees,
    find_trees,
    list_images,
    list_plain_images,
    shown,
)
from pocketflow.utils.errors import UsageError


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    ('names', 'train', 'evaluation'),
    [
        (['train/a/1.png', 'val/a/1.png', 'test/a/1.png'], 'train', 'val'),
        (['train/a/1.png', 'test/a/1.png', 'notes/x.txt'], 'train', 'test'),
        (['train/a/1.png', 'train/b/1.png'], 'train', None),
        (['train/1.png', 'car/1.png', 'test/1.png'], '', None),
        (['train/a/1.png', 'car/1.png'], '', None),
        (['a/1.png', 'b/1.png'], '', None),
    ],
)
def test_trees(tmp_path, names, train, evaluation):
    touch(tmp_path, *names)
    expected = str(tmp_path / train), evaluation and str(tmp_path / evaluation)
    assert find_trees(str(tmp_path)) == expected


@pytest.mark.parametrize(
    ('names', 'train', 'evaluation'),
    [
        (['1.png'], '', None),
        (['a/1.png', '2.png'], '', None),
        (['train/1.png', 'test/1.png', 'val/1.png', 'other/1.png'], 'train', 'val'),
        (['train/1.png', 'other/1.png'], '', None),
    ],
)
def test_trees_without_classes(tmp_path, names, train, evaluation):
    touch(tmp_path, *names)
    assert find_plain_trees(str(tmp_path)) == (str(tmp_path / train), evaluation and str(tmp_path / evaluation))


def test_images_without_classes_may_lie_anywhere(tmp_path):
    touch(tmp_path, '2.JPG', 'a/1.png', 'a/b/3.webp', '.cache/x.png', 'notes.txt')
    found = list_plain_images(str(tmp_path))
    assert sorted(found.names) == ['2.JPG', 'a/1.png', 'a/b/3.webp']
    assert (found.labels, found.classes, found.left_out) == (None, (), {'.txt': 1})
    touch(tmp_path, 'empty/notes.txt')
    with pytest.raises(UsageError, match='empty: holds no images; image files end in'):
        list_plain_images(str(tmp_path / 'empty'))


def test_classes_are_sorted_as_keras_sorts_them(tmp_path):
    touch(tmp_path, 'b/1.png', 'B/1.png', '10/1.png', '9/1.png', '.git/1.png', '__MACOSX/1.png', 'ä [1]/1.png', 'x.png')
    assert class_names(str(tmp_path)) == ('10', '9', 'B', 'b', 'ä [1]')


def test_names_of_all_kinds_are_listed(tmp_path):
    names = ['a/1.JPG', 'a/deep/er/[x].png', 'a/new\nline.bmp', 'a/späce .gif', 'b/z.webp']
    touch(tmp_path, *names, 'a/.hidden.png', 'a/Thumbs.db', 'a/notes.txt', 'a/x.HEIC', 'b/README')
    touch(tmp_path, os.fsdecode(b'b/\xff.jpeg'))
    found = list_images(str(tmp_path), ('a', 'b', 'c'))
    assert sorted(found.names) == sorted([*names, os.fsdecode(b'b/\xff.jpeg')])
    assert [found.labels[found.names.index(name)] for name in names] == [0, 0, 0, 0, 1]
    assert found.left_out == {'.txt': 1, '.heic': 1, 'no ending': 1}


def test_links_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path, 'elsewhere/1.png', 'data/a/0.png')
    (tmp_path / 'data/b').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'data/a/up').symlink_to(tmp_path / 'data')
    found = list_images(str(tmp_path / 'data'), ('a', 'b'))
    assert found.names == ('a/0.png', 'a/up/b/1.png', 'b/1.png')


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (['1.png', '2.png'], 'holds images, but no folders; expected there: one folder per class'),
        (['notes.txt'], 'holds no folders; expected'),
        (['a/1.png'], 'holds only one folder, a; a classifier needs images of two classes'),
        (['a/1.txt', 'b/2.heic'], r'no images in its folders \(a, b\); image files end in .jpg, '),
    ],
)
def test_folders_without_classes_or_images_are_refused(tmp_path, names, message):
    touch(tmp_path, *names)
    with pytest.raises(UsageError, match=message):
        list_images(find_trees(str(tmp_path))[0], class_names(find_trees(str(tmp_path))[0]))


def test_what_cannot_be_listed_is_refused(tmp_path):
    touch(tmp_path, 'file', 'val/c/1.png', 'val/a/1.png')
    with pytest.raises(UsageError, match=r'file: cannot be listed \(Not a directory\)'):
        find_trees(str(tmp_path / 'file'))
    with pytest.raises(UsageError, match='folders that are no classes of the training images: c; the classes are a, b'):
        list_images(str(tmp_path / 'val'), ('a', 'b'))


def test_names_are_shown_on_one_line():
    assert shown('späce [1]') == 'späce [1]'
    assert '\n' not in shown('a\nb') and shown(os.fsdecode(b'\xff')).isascii()
