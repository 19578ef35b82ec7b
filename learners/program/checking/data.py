"""What a check says about the data: samples per class, defective files, and some samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from pocketflow.datasets.sourced_dataset import SourcedDataset
from pocketflow.utils.reports.pictures import picture

NUM_DRAWN = 3
"""Number of samples on the page."""
SPLITS = {'train': 'training', 'eval': 'evaluation'}


def data_facts(dataset: SourcedDataset) -> dict[str, Any]:
    """Facts about a data set, JSON; reads or opens all its samples, as a run does.

    Raises:
      UsageError: the data cannot be used.
    """
    train, held_out = dataset.split_indices(enbl_trn_val_split=True)
    return {
        'name': dataset.name,
        'sample_shape': list(dataset.image_shape),
        'splits': [
            {
                'split': name,
                'samples': len(dataset.source(split)),
                'classes': class_counts(dataset.source(split).labels, dataset.num_classes, class_names(dataset)),
            }
            for split, name in SPLITS.items()
        ],
        'held_out': len(held_out),
        'facts': {name: value for name, value in dataset.facts().items() if not isinstance(value, list)},
        'drawn': drawn_samples(dataset, train),
    }


def class_names(dataset: SourcedDataset) -> list[str]:
    """Names of the classes; their numbers if the data set has no names."""
    names = getattr(dataset, 'classes', None)
    return [str(name) for name in (range(dataset.num_classes) if names is None else names)]


def class_counts(labels: np.ndarray, num_classes: int, names: list[str]) -> list[tuple[str, int]]:
    """(name, number of samples) of each class; empty for labels that are no class numbers."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in 'iu':
        return []
    return list(zip(names, np.bincount(labels, minlength=num_classes).tolist(), strict=True))


def drawn_samples(dataset: SourcedDataset, indices: np.ndarray) -> list[dict[str, Any]]:
    """Training samples of different classes, as files hold them, with the range of the network's input.

    Args:
      dataset: the data set.
      indices: numbers of the samples to choose from.
    """
    source = dataset.source('train')
    labels = np.asarray(source.labels)[indices]
    _, first = np.unique(labels, axis=0, return_index=True)
    chosen = indices[np.sort(first)[:NUM_DRAWN]]
    batches = tf.data.Dataset.from_tensors((tf.constant(0, tf.int64), tf.constant(chosen, tf.int64)))
    _, _, images = next(iter(source.with_images(batches, len(chosen), dataset.options.num_threads)))
    inputs, names = np.asarray(dataset.normalize(images)), class_names(dataset)
    return [
        {
            'sample': int(index),
            'label': _shown(np.asarray(source.labels)[index], names),
            'picture': picture(np.asarray(image)),
            'low': float(values.min()),
            'high': float(values.max()),
            'mean': float(values.mean()),
        }
        for index, image, values in zip(chosen, images, inputs, strict=True)
    ]


def _shown(label: np.ndarray, names: list[str]) -> str:
    is_class = label.ndim == 0 and label.dtype.kind in 'iu'
    return names[int(label)] if is_class else np.array2string(label, precision=4, threshold=8)
