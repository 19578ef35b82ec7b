"""Options of CIFAR-10: its defaults of the shared flags."""

from __future__ import annotations

from pocketflow.datasets.options import DatasetOptions
from pocketflow.utils.options import with_defaults

Cifar10Options = with_defaults(DatasetOptions, 'Cifar10Options', num_train=50000, num_val=5000, num_eval=10000)
