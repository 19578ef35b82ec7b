"""A small task and a run directory for learners."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketflow.learners.abstract_learner import LearnerContext, LearnerOptions
from pocketflow.nets import PAIRS
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.runs.metrics_log import MetricsLog
from pocketflow.utils.runs.run_directory import RunDirectory
from pocketflow.utils.training.trainer import TrainerOptions

_OPEN_LOGS: list[MetricsLog] = []


def make_helper(pair: str = 'lenet_at_digits', **net_options) -> AbstractModelHelper:
    """LeNet at digits, trained for one epoch unless said otherwise."""
    helper_class = PAIRS.get(pair)
    dataset_class = helper_class.dataset_class
    return helper_class(
        helper_class.net_options_class(**{'epochs_ratio': 1 / 30, **net_options}),
        dataset_class(dataset_class.options_class()),
    )


@pytest.fixture(autouse=True)
def _close_logs():
    """Closes the metrics logs that `make_context` opened."""
    yield
    while _OPEN_LOGS:
        _OPEN_LOGS.pop().close()


def make_context(pair: str, folder: Path, **learner_options) -> LearnerContext:
    options = LearnerOptions(**{'epochs_ratio_finetune': 1 / 30, 'zoo_dir': str(folder / 'zoo'), **learner_options})
    trainer_options = TrainerOptions(compute_dtype='float32', summary_step=20, save_step=30)
    _OPEN_LOGS.append(MetricsLog(folder))
    return LearnerContext(
        make_helper(pair), RunDirectory(folder), folder / 'stage', options, trainer_options, _OPEN_LOGS[-1]
    )
