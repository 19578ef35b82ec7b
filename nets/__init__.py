"""Networks, and model/dataset pairs: one file per architecture, one per pair.

Each import declares a pair with its options; the pair's module is imported on first use.
"""

import pocketflow.nets.efficientnet_lite0_at_ilsvrc12_options
import pocketflow.nets.given_options
import pocketflow.nets.lenet_at_cifar10_options
import pocketflow.nets.lenet_at_digits_options
import pocketflow.nets.mobilenet_at_ilsvrc12_options
import pocketflow.nets.resnet_at_cifar10_options
import pocketflow.nets.resnet_at_ilsvrc12_options
from pocketflow.nets.options import PAIRS

__all__ = ['PAIRS']
