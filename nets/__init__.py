"""Networks, and model/dataset pairs: one file per architecture, one per pair."""

from pocketflow.nets import lenet_at_cifar10, lenet_at_digits, resnet_at_cifar10
from pocketflow.nets.abstract_model_helper import PAIRS

__all__ = ['PAIRS', 'lenet_at_cifar10', 'lenet_at_digits', 'resnet_at_cifar10']
