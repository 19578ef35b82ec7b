"""Lists of classes, of the labels of images, and of boxes, in the forms in which they come with ImageNet."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pocketflow.datasets.sources.image_folders import shown
from pocketflow.datasets.sources.storage import opened
from pocketflow.utils.errors import UsageError, first_line

SYNSET = re.compile(r'n\d{8}')
"""Identifier of a class: its part of speech and its number in WordNet 3.0."""
Box = tuple[float, float, float, float]
"""Top, left, bottom, right, as shares of height and width."""


class Line(NamedTuple):
    """A line that is not empty: its number, from 1, and its text."""

    number: int
    text: str


def read_lines(path: str) -> list[Line]:
    """The lines of a text file that are not empty; raises a `UsageError` if it cannot be read, or has none."""
    try:
        with opened(path) as file:
            text = file.read().decode('utf-8-sig')
    except UnicodeDecodeError:
        raise UsageError(f'{shown(path)}: is no UTF-8 text') from None
    except OSError as error:
        raise UsageError(f'{shown(path)}: {error.strerror or first_line(error)}') from error
    lines = [Line(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [line for line in lines if line.text]
    if not lines:
        raise UsageError(f'{shown(path)}: has no lines')
    return lines


def read_classes(path: str) -> tuple[str, ...]:
    """The classes of a list, in order.

    Each line begins with a synset, which may be followed by words, a tab or a comma, as in `n01440764`,
    `n01440764 tench, Tinca tinca` or `n01440764,tench`; a line without one at the begin of the file is a header. If
    no line begins with a synset, each line is the name of a class, up to a tab or comma.

    Raises:
      UsageError: it cannot be read, or a class occurs twice.
    """
    lines = read_lines(path)
    found = [SYNSET.match(line.text) for line in lines]
    if any(found):
        start = int(found[0] is None)
        lines, found = lines[start:], found[start:]
    classes: dict[str, int] = {}
    for line, match in zip(lines, found, strict=True):
        if match is None and any(found):
            raise UsageError(f'{shown(path)}, line {line.number}: {shown(line.text[:40])}: is no synset as n01440764')
        name = match[0] if match else re.split(r'[\t,]', line.text)[0].strip(' "')
        if name in classes:
            raise UsageError(f'{shown(path)}, line {line.number}: {shown(name)} is on line {classes[name]} already')
        classes[name] = line.number
    return tuple(classes)


def read_image_labels(path: str, classes: Mapping[str, int]) -> dict[str, str] | list[str]:
    """The class of each image: by name without the suffix, or in the order of the sorted names.

    A line is a class; or, separated by a comma, a tab or blanks, the name of an image and its class, which may be
    followed by more.

    Args:
      path: of the list.
      classes: the known ones.

    Raises:
      UsageError: it cannot be read, or has something else in a line; numbers of classes, too, since their order is
        not that of the sorted synsets in the development kit of ILSVRC.
    """
    lines = read_lines(path)
    parts = [re.split(r'[,\t ]+', line.text) for line in lines]
    if len(parts) > 1 and not {*parts[0][:2]} & {*classes} and {*parts[1][:2]} & {*classes}:
        lines, parts = lines[1:], parts[1:]  # a header
    if all(len(part) == 1 for part in parts):
        for line in lines:
            _refuse_unknown(path, line, line.text, classes)
        return [line.text for line in lines]
    labels = {}
    for line, part in zip(lines, parts, strict=True):
        name, label = part[0], part[1] if len(part) > 1 else ''
        _refuse_unknown(path, line, label, classes)
        labels[os.path.splitext(os.path.basename(name))[0]] = label
    return labels


def _refuse_unknown(path: str, line: Line, label: str, classes: Mapping[str, int]) -> None:
    if label in classes:
        return
    if label.isdecimal():
        raise UsageError(
            f'{shown(path)}, line {line.number}: {label} is the number of a class, whose order differs between lists; '
            'give a list with synsets, as imagenet_2012_validation_synset_labels.txt'
        )
    raise UsageError(f'{shown(path)}, line {line.number}: {shown(label[:40]) or "nothing"} is none of the classes')


def read_boxes(path: str) -> dict[str, list[Box]]:
    """Boxes of objects by the name of the image without the suffix.

    A line is `NAME,xmin,ymin,xmax,ymax`, in shares of width and height, as in `imagenet_2012_bounding_boxes.csv`.

    Raises:
      UsageError: it cannot be read, or has something else in a line.
    """
    boxes: dict[str, list[Box]] = {}
    lines = read_lines(path)
    for line, row in zip(lines, csv.reader(line.text for line in lines), strict=True):
        box = _box(row[1:])
        if box is None:
            raise UsageError(
                f'{shown(path)}, line {line.number}: expected NAME,xmin,ymin,xmax,ymax with shares of width and height'
            )
        boxes.setdefault(os.path.splitext(row[0])[0], []).append(box)
    return boxes


def _box(values: Sequence[str]) -> Box | None:
    """The box of four numbers left, top, right, bottom; None if they are something else."""
    try:
        left, top, right, bottom = map(float, values)
    except ValueError:
        return None
    return (top, left, bottom, right) if 0 <= left <= right <= 1 and 0 <= top <= bottom <= 1 else None
