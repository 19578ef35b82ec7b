"""Duration of ordering the channels of one layer: the optimal brain surgeon, the LASSO path, and forward selection.

First, a layer of 3x3 windows with as many outputs as input channels, random inputs, one thread. The ratio is that to
one inversion of the layer's matrix P'P. Then half of the channels of wide layers of 1x1 windows, with correlated inputs
that are not negative: by the LASSO path and by forward selection, which takes its place in such layers, and at random,
with the error of the layer's output after the re-fit.
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

from pocketflow.learners.channel_pruning.equations import NormalEquations, reconstructions
from pocketflow.learners.channel_pruning.forward_selection import forward_order
from pocketflow.learners.channel_pruning.selectors.lasso import lasso_channels, lasso_order
from pocketflow.learners.channel_pruning.selectors.obs import obs_order
from pocketflow.utils.reports.report import format_table

NUM_CHANNELS, SMOKE_NUM_CHANNELS = (64, 128, 256, 512), (4, 8)
WIDE_CHANNELS, SMOKE_WIDE_CHANNELS = (512, 1024, 2048), (16,)
WINDOW = 9
RIDGE = 1e-5
GOAL_CHANNELS, GOAL_SECONDS = 512, 60.0
GOAL_ERROR = 1.0
"""Greatest accepted ratio of the error by forward selection to that by the LASSO path."""


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


def wide_layer(num_channels: int) -> tuple[NormalEquations, np.ndarray]:
    """Equations of a layer of 1x1 windows behind a ReLU, and its weights."""
    rng = np.random.default_rng(common.SEED)
    num_causes = num_channels // 3
    causes = rng.normal(size=(2 * num_channels, num_causes))
    mixed = causes @ rng.normal(size=(num_causes, num_channels)) / np.sqrt(num_causes)
    patches = np.maximum(mixed + 0.5 * rng.normal(size=mixed.shape), 0) * np.exp(0.5 * rng.normal(size=num_channels))
    weights = rng.normal(size=(num_channels, max(1, num_channels // 4)))
    targets = patches @ weights
    return NormalEquations(patches.T @ patches, patches.T @ targets, float(np.sum(targets**2)), len(patches)), weights


def wide_row(num_channels: int) -> dict[str, Any]:
    common.say(f'{num_channels} channels, 1x1')
    equations, weights = wide_layer(num_channels)
    gram, cross = equations.channel_regression(weights, np.arange(num_channels))
    count, chosen = num_channels // 2, {}
    with threadpool_limits(1):
        lasso = seconds_of(lambda: chosen.update(lasso=lasso_channels(gram, cross, count)))
        forward = seconds_of(lambda: chosen.update(forward=forward_order(gram, cross, count)))
    chosen['random'] = np.random.default_rng(common.SEED).permutation(num_channels)[:count]
    errors = {name: error_of(equations, weights, np.sort(kept)) for name, kept in chosen.items()}
    return {
        'channels': num_channels,
        'lasso_seconds': round(lasso, 3),
        'forward_seconds': round(forward, 3),
        **{f'{name}_error': round(error, 4) for name, error in errors.items()},
    }


def error_of(equations: NormalEquations, weights: np.ndarray, kept: np.ndarray) -> float:
    """The error of the output with re-fitted weights on the kept features, relative to its energy."""
    block = (np.arange(len(weights)), np.arange(weights.shape[1]))
    (refitted,) = reconstructions(equations, kept, [RIDGE], np.zeros_like(weights), [block])
    return equations.residual(refitted) / equations.energy


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    rows = [row(count) for count in (SMOKE_NUM_CHANNELS if arguments.smoke else NUM_CHANNELS)]
    print(format_table([tuple(rows[0]), *(tuple(map(str, each.values())) for each in rows)]))
    seconds = rows[-1]['obs_seconds']
    text = f'obs orders {GOAL_CHANNELS} channels in at most {GOAL_SECONDS:g} s: {seconds:.1f} s'
    print(common.goal(text, seconds <= GOAL_SECONDS, arguments))
    wide = [wide_row(count) for count in (SMOKE_WIDE_CHANNELS if arguments.smoke else WIDE_CHANNELS)]
    print(format_table([tuple(wide[0]), *(tuple(map(str, each.values())) for each in wide)]))
    worst = max(each['forward_error'] / each['lasso_error'] for each in wide)
    text = f'error by forward selection at most {GOAL_ERROR:g} of that by the LASSO path: {worst:.2f}'
    print(common.goal(text, worst <= GOAL_ERROR, arguments))
    return {'rows': rows, 'wide': wide}


def make_parser() -> common.Parser:
    return common.Parser(__doc__.split('\n')[0])


if __name__ == '__main__':
    sys.exit(common.run('selector_speed', make_parser(), measure))
