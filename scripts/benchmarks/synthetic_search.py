"""Search methods compared with random search on synthetic networks.

Twenty layers of very different sizes and sensitivities (`hp_optimizer/synthetic.py`), a budget for the whole network,
the same number of trials for all methods, and a new network per seed. The reward is computed in microseconds, so the
time per trial is that of the search method.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pocketflow.hp_optimizer import OPTIMIZERS, Journal, search
from pocketflow.hp_optimizer.synthetic import bits_problem, formula, sparsity_problem
from pocketflow.utils.reports.report import format_table

PROBLEMS = {'sparsity': sparsity_problem, 'bits': bits_problem}
RANDOM = 'random'
"""The method with which the others are compared."""
METHODS = (RANDOM, *(name for name in OPTIMIZERS if name != RANDOM))


def best_reward(method: str, problem_name: str, seed: int, num_trials: int, num_layers: int) -> tuple[float, float]:
    """(best reward, seconds per trial) of one search, including the journal on the disk."""
    problem, reward = PROBLEMS[problem_name](num_layers=num_layers, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        optimizer = OPTIMIZERS.get(method)(problem, seed, num_trials)
        best = search(optimizer, formula(reward), Journal(Path(folder) / 'search.jsonl', problem), num_trials)
        return best.reward, (time.monotonic() - begin) / num_trials


def uniform_reward(problem_name: str, seed: int, num_layers: int) -> float:
    problem, reward = PROBLEMS[problem_name](num_layers=num_layers, seed=seed)
    return reward(problem.uniform())


def compare(problem_name: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """One row per method: its rewards over the seeds, and their differences from random search with the same seed."""
    results: dict[str, list[tuple[float, float]]] = {}
    for method in METHODS:
        results[method] = [
            best_reward(method, problem_name, seed, arguments.trials, arguments.layers)
            for seed in range(arguments.seeds)
        ]
        common.say(f'{problem_name}, {method}: {" ".join(f"{reward:.4f}" for reward, _ in results[method])}')
    random = [reward for reward, _ in results[RANDOM]]
    return [_row(problem_name, method, runs, random) for method, runs in results.items()]


def _row(problem_name: str, method: str, runs: list[tuple[float, float]], random: list[float]) -> dict[str, Any]:
    rewards = [reward for reward, _ in runs]
    margins = [reward - other for reward, other in zip(rewards, random, strict=True)]
    return {
        'problem': problem_name,
        'method': method,
        'reward': round(statistics.median(rewards), 4),
        'margin': round(statistics.median(margins), 4),
        'wins': sum(margin > 0 for margin in margins),
        'milliseconds': round(1000 * statistics.median(seconds for _, seconds in runs), 1),
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    rows = [row for name in PROBLEMS for row in compare(name, arguments)]
    uniform = {
        name: round(
            statistics.median(uniform_reward(name, seed, arguments.layers) for seed in range(arguments.seeds)), 4
        )
        for name in PROBLEMS
    }
    _show(arguments, rows, uniform)
    return {
        'trials': arguments.trials,
        'seeds': arguments.seeds,
        'layers': arguments.layers,
        'uniform': uniform,
        'least_margin': min(row['margin'] for row in rows if row['method'] != RANDOM),
        'rows': rows,
    }


def _show(arguments: argparse.Namespace, rows: list[dict[str, Any]], uniform: dict[str, float]) -> None:
    header = (
        f'{arguments.trials} trials, {arguments.layers} layers, {arguments.seeds} seeds',
        'best reward, median',
        'over random, median',
        'seeds won',
        'ms per trial',
    )
    lines = [
        (
            f'{row["problem"]}, {row["method"]}',
            f'{row["reward"]:.4f}',
            f'{row["margin"]:+.4f}',
            str(row['wins']),
            f'{row["milliseconds"]:.1f}',
        )
        for row in rows
    ]
    print(format_table([header, *lines]))
    print(f'uniform solution: {", ".join(f"{name} {reward:.4f}" for name, reward in uniform.items())}')
    for method in METHODS[1:]:
        least = min(row['margin'] for row in rows if row['method'] == method)
        print(common.goal(f'{method} beats random search', least > 0, arguments))


def make_parser() -> common.Parser:
    parser = common.Parser(__doc__.split('\n')[0])
    parser.add_number('--trials', 60, 4, 'trials of each search')
    parser.add_number('--seeds', 10, 1, 'searches of each method, each on a network of its own')
    parser.add_number('--layers', 20, 4, 'layers of a network')
    return parser


if __name__ == '__main__':
    sys.exit(common.run('synthetic_search', make_parser(), measure))
