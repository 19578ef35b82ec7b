"""Data sets: files -> tf.data batches, one file per data set."""

from datasets.cifar10_dataset import Cifar10Dataset
from datasets.digits_dataset import DigitsDataset
from datasets.fmnist_dataset import FmnistDataset

__all__ = ['Cifar10Dataset', 'DigitsDataset', 'FmnistDataset']
