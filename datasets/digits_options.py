"""Options of scikit-learn's digits: their defaults of the shared flags."""

from __future__ import annotations

from pocketflow.datasets.options import DatasetOptions
from pocketflow.utils.options import with_defaults

NUM_EVAL = 360
DigitsOptions = with_defaults(
    DatasetOptions,
    'DigitsOptions',
    num_train=1797 - NUM_EVAL,
    num_val=144,
    num_eval=NUM_EVAL,
    crop_padding=1,
    batch_size=32,
)
