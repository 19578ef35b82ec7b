"""Image files with the classes of ILSVRC-12, in a folder per class or beside a list of labels."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence

from pocketflow.datasets.sources.image_folders import (
    EVAL,
    TRAIN,
    Listing,
    class_names,
    list_images,
    list_plain_images,
    shown,
    some,
)
from pocketflow.datasets.sources.label_lists import SYNSET, Box, read_boxes, read_classes, read_image_labels
from pocketflow.datasets.sources.storage import entries
from pocketflow.utils.errors import UsageError, first_line

VALIDATION_LABELS = 'imagenet_2012_validation_synset_labels.txt'
LAYOUT = (
    f'expected there: train/ with one folder per class, and val/ with such folders, too, or with images only and the '
    f'list of their labels, {VALIDATION_LABELS}'
)
FIRST_LABEL = 1
"""Label of the first class; 0 is a background class without images."""


@dataclasses.dataclass(frozen=True)
class LabelledImage:
    """An image file.

    Attributes:
      path: of the file.
      label: number of its class, from 1.
      synset: name of its class.
      boxes: of annotated objects.
    """

    path: str
    label: int
    synset: str
    boxes: tuple[Box, ...] = ()


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """The files of both splits.

    Attributes:
      classes: their names, by label.
      train, validation: in the order of their names.
    """

    classes: tuple[str, ...]
    train: tuple[LabelledImage, ...]
    validation: tuple[LabelledImage, ...]


def find_images(
    folder: str, classes: str | None = None, validation_labels: str | None = None, boxes: str | None = None
) -> LabelledImages:
    """Lists the images in the folders that ILSVRC-12 is unpacked to, or in folders of the same form.

    Args:
      folder: holds `train/` and `val/`, `valid/`, `validation/`, `test/` or `eval/`.
      classes: path of the list of classes, in the order of their labels; default: the sorted names of the folders of
        training images, which is the order of ILSVRC-12.
      validation_labels: path of the labels of evaluation images that are in no folders; default: that of the usual name
        beside the images, or beside their folder.
      boxes: path of the boxes of objects, if they are to be used.

    Raises:
      UsageError: the message names what is missing or wrong.
    """
    present = _folders(folder)
    evaluation = next((name for name in EVAL if name in present), None)
    if TRAIN not in present or evaluation is None:
        raise UsageError(f'{shown(folder)}: holds {some(sorted(present)) or "no folders"}; {LAYOUT}')
    roots = [os.path.join(folder, name) for name in (TRAIN, evaluation)]
    names = class_names(roots[0])
    if classes is not None:
        listed = read_classes(classes)
        unknown = [name for name in names if name not in listed]
        if unknown:
            raise UsageError(
                f'{shown(roots[0])}: holds folders that are none of the {len(listed)} classes in '
                f'{shown(classes)}: {some(unknown)}'
            )
        names = listed
    annotated = {} if boxes is None else read_boxes(boxes)
    train = _with_labels(list_images(roots[0], names), annotated)
    if _folders(roots[1]):
        listing = list_images(roots[1], names)
    else:
        listing = _flat(roots[1], names, validation_labels or _labels_beside(roots[1]))
    return LabelledImages(names, train, _with_labels(listing, annotated))


def _folders(folder: str) -> set[str]:
    try:
        return {entry.name for entry in entries(folder) if entry.is_folder}
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise UsageError(f'{shown(folder)}: cannot be listed ({reason}); {LAYOUT}') from error


def _labels_beside(root: str) -> str:
    places = [os.path.join(place, VALIDATION_LABELS) for place in (root, os.path.dirname(root))]
    found = next((path for path in places if os.path.isfile(path)), None)
    if found is None:
        raise UsageError(
            f'{shown(root)}: has images, but no folders of classes and no {VALIDATION_LABELS}; give --validation_labels'
        )
    return found


def _flat(root: str, classes: Sequence[str], path: str) -> Listing:
    """Images of one folder, with labels from a list."""
    listing, numbers = list_plain_images(root), {name: number for number, name in enumerate(classes)}
    labels = read_image_labels(path, numbers)
    if isinstance(labels, list):
        if len(labels) != len(listing.names):
            raise UsageError(f'{shown(path)}: has {len(labels)} labels, but {shown(root)} {len(listing.names)} images')
        of_images = labels
    else:
        missing = [name for name in listing.names if _stem(name) not in labels]
        if missing:
            raise UsageError(f'{shown(path)}: has no label of {len(missing)} images: {some(missing)}')
        of_images = [labels[_stem(name)] for name in listing.names]
    return dataclasses.replace(listing, classes=tuple(classes), labels=tuple(numbers[label] for label in of_images))


def _with_labels(listing: Listing, boxes: Mapping[str, Sequence[Box]]) -> tuple[LabelledImage, ...]:
    return tuple(
        LabelledImage(
            os.path.join(listing.root, name),
            number + FIRST_LABEL,
            listing.classes[number],
            tuple(boxes.get(_stem(name), ())),
        )
        for name, number in zip(listing.names, listing.labels or (), strict=True)
    )


def _stem(name: str) -> str:
    return os.path.splitext(os.path.basename(name))[0]


def are_synsets(classes: Sequence[str]) -> bool:
    """Whether all names are synsets, as in ILSVRC-12."""
    return all(SYNSET.fullmatch(name) for name in classes)
