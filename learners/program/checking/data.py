"""What a check says about the data: samples per class or range of the labels, defective files, and some samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pocketflow.datasets.sourced_dataset import SourcedDataset
from pocketflow.utils.reports.pictures import picture
from pocketflow.utils.tasks.nests import Nest, flat_shapes, take

NUM_DRAWN = 3
"""Number of samples on the page."""
SPLITS = {'train': 'training', 'eval': 'evaluation'}


def data_facts(dataset: SourcedDataset) -> dict[str, Any]:
    """Facts about a data set, JSON; reads or opens all its samples, as a run does.

    Raises:
      UsageError: the data cannot be used.
    """
    train, held_out = dataset.split_indices(enbl_trn_val_split=True)
    names = class_names(dataset)
    return {
        'name': dataset.name,
        'sample_shapes': [list(shape) for shape in flat_shapes(dataset.image_shape)],
        'splits': [
            {
                'split': name,
                'samples': len(dataset.source(split)),
                'labels': [
                    label_facts(part, array, names) for part, array in parts(dataset.source(split).labels) if array.size
                ],
            }
            for split, name in SPLITS.items()
        ],
        'held_out': len(held_out),
        'facts': {name: value for name, value in dataset.facts().items() if not isinstance(value, list)},
        'drawn': drawn_samples(dataset, train, names),
    }


def class_names(dataset: SourcedDataset) -> list[str]:
    """Names of the classes; their numbers if the data set has no names; empty if there are no classes."""
    names = getattr(dataset, 'classes', None)
    return [str(name) for name in (range(dataset.num_classes or 0) if names is None else names)]


def parts(nest: Nest, name: str = '') -> Iterator[tuple[str, np.ndarray]]:
    """(name, array) of each array of a structure, in the order of `tf.nest.flatten`; '' for a single array.

    >>> [name for name, _ in parts({'b': (np.zeros(1), np.zeros(1)), 'a': np.zeros(1)})]
    ['a', 'b.0', 'b.1']
    """
    if isinstance(nest, Mapping):
        entries = [(str(key), nest[key]) for key in sorted(nest)]
    elif isinstance(nest, (tuple, list)):
        entries = [(str(number), part) for number, part in enumerate(nest)]
    else:
        yield name, np.asarray(nest)
        return
    for key, part in entries:
        yield from parts(part, f'{name}.{key}'.lstrip('.'))


def label_facts(name: str, labels: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Samples per class, or the range of labels that are no classes.

    Args:
      name: of the labels, if there are several.
      labels: class numbers `[N]`, zeros and ones `[N, classes]` for several labels per sample, or any numbers.
      names: of the classes, if they have names.
    """
    if labels.ndim == 1 and labels.dtype.kind in 'iu':
        counts = np.bincount(labels, minlength=len(names))
    elif labels.ndim == 2 and np.isin(labels, (0, 1)).all():
        counts = np.count_nonzero(labels, axis=0)
    else:
        low, high, mean = (float(function(labels)) for function in (np.min, np.max, np.mean))
        return {'name': name, 'shape': list(labels.shape[1:]), 'low': low, 'high': high, 'mean': mean}
    known = names if len(names) == len(counts) else [str(number) for number in range(len(counts))]
    return {'name': name, 'classes': list(zip(known, counts.tolist(), strict=True))}


def drawn_samples(dataset: SourcedDataset, indices: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Training samples with different labels, as files hold them, and the range of the network's inputs.

    Args:
      dataset: the data set.
      indices: numbers of the samples to choose from.
      names: as for `label_facts`.
    """
    source = dataset.source('train')
    _, labels = next(parts(take(source.labels, indices)))
    first = np.unique(labels, axis=0, return_index=True)[1] if labels.size else np.arange(len(labels))
    chosen = indices[np.sort(first)[:NUM_DRAWN]]
    batches = tf.data.Dataset.from_tensors((tf.constant(0, tf.int64), tf.constant(chosen, tf.int64)))
    _, _, images = next(iter(source.with_images(batches, len(chosen), dataset.options.num_threads)))
    inputs = dataset.normalize(images)
    return [_drawn(place, index, images, inputs, source.labels, names) for place, index in enumerate(chosen.tolist())]


def _drawn(place: int, index: int, images: Nest, inputs: Nest, labels: Nest, names: Sequence[str]) -> dict[str, Any]:
    values = np.concatenate([array[place].ravel().astype(np.float64) for _, array in parts(inputs)])
    return {
        'sample': index,
        'label': ', '.join(f'{name} {shown(array[index], names)}'.strip() for name, array in parts(labels)),
        'pictures': [drawn for _, array in parts(images) if (drawn := picture(array[place])) is not None],
        'low': float(values.min()),
        'high': float(values.max()),
        'mean': float(values.mean()),
    }


def shown(label: np.ndarray, names: Sequence[str]) -> str:
    """A label in words: the name of its class, if it is the number of one."""
    if not label.size:
        return 'no label'
    is_class = label.ndim == 0 and label.dtype.kind in 'iu' and int(label) < len(names)
    return names[int(label)] if is_class else np.array2string(label, precision=4, threshold=8)
