"""Options of Fashion-MNIST: its defaults of the shared flags."""

from __future__ import annotations

from pocketflow.datasets.options import DatasetOptions
from pocketflow.utils.options import with_defaults

FmnistOptions = with_defaults(DatasetOptions, 'FmnistOptions', num_train=60000, num_val=5000, num_eval=10000)
