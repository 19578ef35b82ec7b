"""Duration of ordering the channels of one layer: the optimal brain surgeon, and the LASSO path.

A layer of 3x3 windows with as many outputs as input channels, random inputs, one thread. The ratio is that to one
inversion of the layer's matrix P'P.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pocketflow.learners.channel_pruning.equations import NormalEquations
from pocketflow.learners.channel_pruning.selectors.lasso import lasso_order
from pocketflow.learners.channel_pruning.selectors.obs import obs_order
from pocketflow.utils.reports.report import format_table

NUM_CHANNELS, SMOKE_NUM_CHANNELS = (64, 128, 256, 512), (4, 8)
WINDOW = 9
RIDGE = 1e-5
GOAL_CHANNELS, GOAL_SECONDS = 512, 60.0


def equations_of(num_channels: int) -> tuple[NormalEquations, np.ndarray]:
    """Equations of a layer with correlated inputs, and the channel of each of its features."""
    rng = np.random.default_rng(common.SEED)
    num_features = WINDOW * num_channels
    scales = np.exp(-3 * np.arange(num_features) / num_features)
    patches = rng.normal(size=(2 * num_features, num_features)) * scales
    patches += 0.5 * patches[:, ::-1].copy()
    targets = patches @ rng.normal(size=(num_features, num_channels))
    targets += rng.normal(size=targets.shape)
    gram, cross = patches.T @ patches, patches.T @ targets
    channel_of = np.tile(np.arange(num_channels), WINDOW)
    return NormalEquations(gram, cross, float(np.sum(targets**2)), len(patches)), channel_of


def seconds_of(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def row(num_channels: int) -> dict[str, Any]:
    common.say(f'{num_channels} channels')
    equations, channel_of = equations_of(num_channels)
    with threadpool_limits(1):
        inversion = seconds_of(lambda: np.linalg.inv(equations.gram))
        surgeon = seconds_of(lambda: obs_order(equations, channel_of, RIDGE))
        weights = np.random.default_rng(common.SEED).normal(size=equations.cross.shape)
        contributions = equations.channel_regression(weights, channel_of)
        lasso = seconds_of(lambda: lasso_order(*contributions))
    return {
        'channels': num_channels,
        'features': len(channel_of),
        'obs_seconds': round(surgeon, 4),
        'obs_ratio': round(surgeon / inversion, 2),
        'lasso_seconds': round(lasso, 4),
        'lasso_ratio': round(lasso / inversion, 2),
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    rows = [row(count) for count in (SMOKE_NUM_CHANNELS if arguments.smoke else NUM_CHANNELS)]
    print(format_table([tuple(rows[0]), *(tuple(map(str, each.values())) for each in rows)]))
    seconds = rows[-1]['obs_seconds']
    text = f'obs orders {GOAL_CHANNELS} channels in at most {GOAL_SECONDS:g} s: {seconds:.1f} s'
    print(common.goal(text, seconds <= GOAL_SECONDS, arguments))
    return {'rows': rows}


def make_parser() -> common.Parser:
    return common.Parser(__doc__.split('\n')[0])


if __name__ == '__main__':
    sys.exit(common.run('selector_speed', make_parser(), measure))
