from __future__ import annotations

import numpy as np
import pytest

from pocketflow.nets.tasks import Classification
from pocketflow.utils.tasks.task import BATCH_SIZE


def test_metrics_of_more_than_one_batch():
    labels = np.arange(2 * BATCH_SIZE + 1) % 10
    outputs = np.eye(10, dtype=np.float32)[np.where(np.arange(len(labels)) < 3, (labels + 1) % 10, labels)]
    assert Classification().measure(labels, outputs)['accuracy'] == pytest.approx(1 - 3 / len(labels))
