"""`tf.train.Example`s with an image and its label: names of their features, and what is known without decoding."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from pocketflow.datasets.sources.decoding import check_content
from pocketflow.datasets.sources.image_folders import shown, some
from pocketflow.datasets.sources.image_headers import BadImageError, Header, content_digest, header_of
from pocketflow.utils.errors import UsageError

IMAGE_NAMES = ('image/encoded', 'image', 'image_raw', 'image_bytes', 'encoded')
LABEL_NAMES = ('image/class/label', 'label', 'labels', 'class', 'image/label')
HEIGHT_NAMES, WIDTH_NAMES = ('image/height', 'height'), ('image/width', 'width')
"""Usual names of features, in order of precedence."""
BYTES, INTEGERS, FLOATS = 'bytes_list', 'int64_list', 'float_list'
KIND_WORDS = {BYTES: 'bytes', INTEGERS: 'integers', FLOATS: 'floats', None: 'empty'}
RAW = -1
"""In place of `Header.kind`: the image is pixels."""
Label = Any
"""The name of a class as bytes, or a NumPy array of numbers: scalar, or `[K]`; `[0]` if labels are not read."""


@dataclasses.dataclass(frozen=True)
class Features:
    """Names of the features, and how images are stored.

    Attributes:
      image, label: names; the label is None if it is not read.
      height, width: names; None if images are encoded files.
      image_kind: `BYTES` or `INTEGERS`.
    """

    image: str
    label: str | None
    height: str | None = None
    width: str | None = None
    image_kind: str = BYTES

    @property
    def is_raw(self) -> bool:
        """Whether images are pixels."""
        return self.height is not None


@dataclasses.dataclass(frozen=True)
class Sample:
    """What is known of a record.

    Attributes:
      label: of the image.
      header: of an encoded image; of pixels with the kind `RAW`.
      shape: (height, width, channels) of pixels, else zeros.
    """

    label: Label
    header: Header
    shape: tuple[int, int, int] = (0, 0, 0)


def find_features(record: bytes, given: Sequence[str | None], where: str, has_labels: bool = True) -> Features:
    """The features of images and labels, as given or with usual names.

    Args:
      record: the first one.
      given: names of image, label, height and width, None for unknown ones.
      where: the file, for messages.
      has_labels: whether there must be a label.

    Raises:
      UsageError: it is no `tf.train.Example`, or some are missing.
    """
    try:
        present = parse(record)
    except BadImageError as error:
        raise UsageError(f'{where}: {error}; expected records of tf.train.Example') from error
    described = some([f'{name} ({KIND_WORDS[present[name].WhichOneof("kind")]})' for name in sorted(present)])

    def find(what: str, name: str | None, usual: Sequence[str]) -> str:
        names = usual if name is None else (name,)
        found = next((each for each in names if each in present), None)
        if found is None:
            sought = f'feature {shown(name)}' if name else f'feature named {" or ".join(usual)}'
            raise UsageError(f'{where}: has no {sought}; give --tfrecord_{what}=NAME; there are {described or "none"}')
        return found

    image = find('image', given[0], IMAGE_NAMES)
    label = find('label', given[1], LABEL_NAMES) if has_labels else None
    kind = present[image].WhichOneof('kind')
    if kind not in (BYTES, INTEGERS):
        raise UsageError(
            f'{where}: feature {shown(image)} holds {KIND_WORDS[kind]}; expected an encoded image, or pixels as bytes '
            'or integers'
        )
    is_raw = kind == INTEGERS or given[2] is not None
    if kind == BYTES and not is_raw:
        try:
            header_of(present[image].bytes_list.value[0])
        except (BadImageError, IndexError):
            is_raw = any(name in present for name in HEIGHT_NAMES)
    if not is_raw:
        return Features(image, label)
    return Features(
        image, label, find('height', given[2], HEIGHT_NAMES), find('width', given[3], WIDTH_NAMES), str(kind)
    )


def parse(record: bytes) -> Any:
    """The features of an example by name; raises a `BadImageError` if it is none."""
    try:
        return tf.train.Example.FromString(record).features.feature
    except DecodeError:
        raise BadImageError('no tf.train.Example') from None


def read_sample(record: bytes, features: Features, check_all: bool) -> Sample:
    """What is known of a record.

    Args:
      record: a serialized `tf.train.Example`.
      features: their names.
      check_all: whether the image is decoded, to see that it is whole.

    Raises:
      BadImageError: it has no usable image or label.
    """
    present = parse(record)
    label, content = _label(present, features.label), _values(present, features.image, features.image_kind)
    if features.is_raw:
        return _raw_sample(present, features, label, content, check_all)
    if len(content) != 1:
        raise BadImageError(f'feature {shown(features.image)} holds {len(content)} images; expected one')
    header = header_of(content[0])
    if check_all:
        check_content(content[0], header)
    return Sample(label, header)


def _raw_sample(present: Any, features: Features, label: Label, content: Any, check_all: bool) -> Sample:
    height, width = (_number(present, name) for name in (features.height, features.width))
    if features.image_kind == BYTES:
        content = content[0] if len(content) == 1 else b''
    channels = len(content) // (height * width) if height > 0 and width > 0 else 0
    if channels not in (1, 3) or channels * height * width != len(content):
        raise BadImageError(
            f'{len(content)} pixel values, which is not height x width ({height} x {width}), nor three times that'
        )
    if features.image_kind == BYTES:
        digest = content_digest(content)
    else:
        values = np.fromiter(content, np.int64, len(content))
        if check_all and (values.min() < 0 or values.max() > 255):
            raise BadImageError(f'pixel values from {values.min()} to {values.max()}; expected 0 to 255')
        digest = content_digest(values.astype(np.uint8).tobytes())
    return Sample(label, Header(RAW, 1, digest), (height, width, channels))


def _values(present: Any, name: str, kind: str) -> Any:
    if name not in present:
        raise BadImageError(f'has no feature {shown(name)}')
    found = present[name].WhichOneof('kind')
    if found != kind:
        raise BadImageError(
            f'feature {shown(name)} holds {KIND_WORDS[found]}, but {KIND_WORDS[kind]} in the first record'
        )
    return getattr(present[name], kind).value


def _number(present: Any, name: str | None) -> int:
    values = _values(present, name or '', INTEGERS)
    if len(values) != 1:
        raise BadImageError(f'feature {shown(name)} holds {len(values)} numbers; expected one')
    return int(values[0])


def _label(present: Any, name: str | None) -> Label:
    if name is None:
        return np.zeros([0], np.float32)
    if name not in present:
        raise BadImageError(f'has no feature {shown(name)}')
    kind = present[name].WhichOneof('kind')
    values = [] if kind is None else getattr(present[name], kind).value
    if kind == BYTES and len(values) == 1:
        return bytes(values[0])
    if kind not in (INTEGERS, FLOATS) or not len(values):
        raise BadImageError(
            f'feature {shown(name)} holds {len(values)} values ({KIND_WORDS[kind]}); expected a number, or one '
            'class name'
        )
    numbers = np.array(values, np.int64 if kind == INTEGERS else np.float32)
    return numbers[0] if len(numbers) == 1 else numbers
