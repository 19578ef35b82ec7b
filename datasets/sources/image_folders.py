"""Lists the image files of a folder by class, without opening files; on a disk, without TensorFlow."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pocketflow.datasets.sources.storage import Entry, entries, identity
from pocketflow.utils.errors import UsageError

SUFFIXES = ('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.bmp', '.gif', '.webp')
"""Suffixes of image files, case-insensitive."""
TRAIN = 'train'
EVAL = ('val', 'valid', 'validation', 'test', 'eval')
"""Names of the evaluation folder beside `train`, in order of precedence."""
IGNORED = ('__MACOSX', '@eaDir', 'Thumbs.db', 'desktop.ini')
"""Files of file managers and archivers, which are ignored like names that begin with a dot."""
NUM_SHOWN = 8
LAYOUT = (
    'expected there: one folder per class, with its images; or train/ and val/ (or test/), each with one folder per '
    'class; for images without classes give --labels=none'
)


@dataclasses.dataclass(frozen=True)
class Listing:
    """The image files of one tree.

    Attributes:
      root: the folder of the tree.
      classes: names of the folders of classes; the class of number i is the i-th; empty if there are no labels.
      names: path of each file below `root`, in order.
      labels: its class number; None if there are no labels.
      left_out: how many files are no images, by the end of their name.
    """

    root: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    labels: tuple[int, ...] | None
    left_out: Mapping[str, int]


def shown(name: str | None) -> str:
    """A file name for a message, escaped where it is not printable."""
    text = (name or '').encode('utf-8', 'backslashreplace').decode()
    return text if text.isprintable() else ascii(name)[1:-1]


def some(names: Sequence[str]) -> str:
    """The first few of some names, for messages.

    >>> some(list('abcdefghij'))
    'a, b, c, d, e, f, g, h and 2 more'
    """
    more = f' and {len(names) - NUM_SHOWN} more' if len(names) > NUM_SHOWN else ''
    return ', '.join(map(shown, names[:NUM_SHOWN])) + more


def find_trees(folder: str) -> tuple[str, str | None]:
    """The training and the evaluation tree; the second is None if there is only one tree.

    `train/` counts as such only if it holds folders, and others like `val/` lie beside it, or nothing does: it may as
    well be the name of a class.

    Raises:
      UsageError: the folder cannot be read, or holds neither.
    """
    folders = _subfolders(folder)
    if TRAIN in folders and _subfolders(os.path.join(folder, TRAIN)):
        found = next((name for name in EVAL if name in folders), None)
        if found is not None:
            return os.path.join(folder, TRAIN), os.path.join(folder, found)
        if folders == [TRAIN]:
            return os.path.join(folder, TRAIN), None
    if not folders:
        what = 'images, but no folders' if any(map(is_image, _entries(folder))) else 'no folders'
        raise UsageError(f'{shown(folder)}: holds {what}; {LAYOUT}')
    return folder, None


def find_plain_trees(folder: str) -> tuple[str, str | None]:
    """As `find_trees`, of images without classes: `train/` and the first of `val/`, .. if both are there."""
    folders = _subfolders(folder)
    found = next((name for name in EVAL if name in folders), None)
    if TRAIN in folders and found is not None:
        return os.path.join(folder, TRAIN), os.path.join(folder, found)
    return folder, None


def class_names(root: str) -> tuple[str, ...]:
    """The classes of a tree: the names of its folders, sorted by code point as in Keras.

    Raises:
      UsageError: there are less than two.
    """
    classes = tuple(_subfolders(root))
    if len(classes) < 2:
        found = f'only one folder, {shown(classes[0])}' if classes else 'no folders'
        raise UsageError(f'{shown(root)}: holds {found}; a classifier needs images of two classes at least; {LAYOUT}')
    return classes


def list_images(root: str, classes: Sequence[str]) -> Listing:
    """The image files of a tree, in the order of their names; links are followed.

    Args:
      root: the folder of the class folders.
      classes: the known classes; `root` may lack some of them.

    Raises:
      UsageError: a folder cannot be read, there are folders of other classes, or no images at all.
    """
    present, numbers = _subfolders(root), {name: number for number, name in enumerate(classes)}
    unknown = [name for name in present if name not in numbers]
    if unknown:
        raise UsageError(
            f'{shown(root)}: holds folders that are no classes of the training images: {some(unknown)}; the classes '
            f'are {some(classes)}'
        )
    names: list[str] = []
    labels: list[int] = []
    left_out: Counter[str] = Counter()
    for class_name in present:
        found = _images(root, class_name, left_out)
        names += found
        labels += [numbers[class_name]] * len(found)
    if not names:
        raise UsageError(
            f'{shown(root)}: no images in its folders ({some(present)}); image files end in {", ".join(SUFFIXES)}'
        )
    return Listing(root, tuple(classes), tuple(names), tuple(labels), dict(left_out))


def list_plain_images(root: str) -> Listing:
    """All image files of a tree without classes, as `list_images`."""
    left_out: Counter[str] = Counter()
    names = _images(root, '', left_out)
    if not names:
        raise UsageError(f'{shown(root)}: holds no images; image files end in {", ".join(SUFFIXES)}')
    return Listing(root, (), tuple(names), None, dict(left_out))


def _images(root: str, folder: str, left_out: Counter[str]) -> list[str]:
    """The image files below a folder, relative to `root`; other files are counted by the end of their name."""
    names = []
    for name in _walk(root, folder, frozenset()):
        if is_image(name):
            names.append(name)
        else:
            left_out[os.path.splitext(name)[1].lower() or 'no ending'] += 1
    return names


def is_image(name: str) -> bool:
    """Whether a file name has the suffix of an image."""
    return name.lower().endswith(SUFFIXES)


def _is_ignored(name: str) -> bool:
    return name.startswith('.') or name in IGNORED


def _scan(folder: str) -> list[Entry]:
    try:
        return [entry for entry in entries(folder, is_image) if not _is_ignored(entry.name)]
    except OSError as error:
        raise UsageError(f'{shown(folder)}: cannot be listed ({error.strerror}); give a folder of images') from error


def _entries(folder: str) -> list[str]:
    return [entry.name for entry in _scan(folder)]


def _subfolders(folder: str) -> list[str]:
    return [entry.name for entry in _scan(folder) if entry.is_folder]


def _walk(root: str, folder: str, above: frozenset[tuple[int, int] | None]) -> Iterator[str]:
    """Paths of the files below a folder, relative to `root`; links to parent folders are not followed."""
    path = os.path.join(root, folder)
    here = identity(path)
    if here is not None and here in above:
        return
    for entry in _scan(path):
        name = os.path.join(folder, entry.name)
        if entry.is_folder:
            yield from _walk(root, name, above | {here})
        elif entry.is_file:
            yield name
