"""Data sets: files -> tf.data batches, one file per data set."""

from __future__ import annotations

from pocketflow.utils.system.late_imports import late_names

_PUBLIC = {
    'Cifar10Dataset': 'pocketflow.datasets.cifar10_dataset',
    'DigitsDataset': 'pocketflow.datasets.digits_dataset',
    'FmnistDataset': 'pocketflow.datasets.fmnist_dataset',
    'FolderDataset': 'pocketflow.datasets.folder_dataset',
    'Ilsvrc12Dataset': 'pocketflow.datasets.ilsvrc12_dataset',
    'NpzDataset': 'pocketflow.datasets.npz_dataset',
    'TfrecordDataset': 'pocketflow.datasets.tfrecord_dataset',
}
"""Public name -> the module that defines it."""

__all__ = list(_PUBLIC)
__getattr__, __dir__ = late_names(__name__, _PUBLIC)
