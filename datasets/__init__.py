"""Data sets: files -> tf.data batches, one file per data set."""

from pocketflow.datasets.cifar10_dataset import Cifar10Dataset
from pocketflow.datasets.digits_dataset import DigitsDataset
from pocketflow.datasets.fmnist_dataset import FmnistDataset

__all__ = ['Cifar10Dataset', 'DigitsDataset', 'FmnistDataset']
