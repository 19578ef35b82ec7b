"""What every optimizer keeps: candidates of its domain, the same answers to the same seed, also after a journal."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketflow.hp_optimizer import driver
from pocketflow.hp_optimizer.domain import Domain
from pocketflow.hp_optimizer.journal import Journal, Trial
from pocketflow.hp_optimizer.optimizers import OPTIMIZERS, HyperParamOptimizer
from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.hp_optimizer.space import Kind, Order, Parameter, SearchSpace
from pocketflow.hp_optimizer.synthetic import bits_problem, formula, sparsity_problem
from pocketflow.rl_agents.ddpg.options import DdpgOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option_fields

NUM_TRIALS = 12
# The graphs of the agent are tested in tests/rl_agents/ddpg.
pytestmark = pytest.mark.usefixtures('run_eagerly')


def flags_space() -> tuple[SearchSpace, Callable]:
    space = SearchSpace(
        [
            Parameter('beg', Kind.FLOAT, 0, 0.9),
            Parameter('end', Kind.FLOAT, 0, 1),
            Parameter('steps', Kind.LOG10, 50, 2000, whole=True),
            Parameter('batch', Kind.CHOICE, choices=(32, 64, 128)),
        ],
        [Order('end', 'beg')],
    )
    return space, lambda values: values['end'] - values['beg'] ** 2 + values['steps'] / 2000


DOMAINS = {
    'sparsity': functools.partial(sparsity_problem, num_layers=3),
    'bits': functools.partial(bits_problem, num_layers=6),
    'flags': flags_space,
}
SMALL = DdpgOptions(actor_depth=1, actor_width=8, critic_depth=1, critic_width=8, batch_size=8)
FAST = {'ddpg': {'num_updates': 1, 'options': SMALL}, 'gp': {'num_rounds': 2, 'num_candidates': 20}}


def make(name: str, domain: Domain, seed: int = 3) -> HyperParamOptimizer:
    return OPTIMIZERS.get(name)(domain, seed, NUM_TRIALS, **FAST.get(name, {}))


def run(optimizer: HyperParamOptimizer, reward: Callable, num_trials: int) -> list[dict]:
    asked = []
    for _ in range(num_trials):
        asked.append(optimizer.ask())
        optimizer.tell(asked[-1], reward(asked[-1]))
    return asked


@pytest.mark.parametrize('name', list(OPTIMIZERS))
@pytest.mark.parametrize('domain_name', list(DOMAINS))
def test_candidates_keep_the_rules_and_repeat_with_the_seed(name: str, domain_name: str, tmp_path: Path):
    domain, reward = DOMAINS[domain_name]()
    asked = run(make(name, domain), reward, NUM_TRIALS)
    for values in asked:
        domain.encode(values)  # refuses what is outside the bounds, of a wrong type, or over the budget
        if domain.cost(values) is not None:
            assert domain.cost(values) <= domain.budget * (1 + 1e-9)
    assert asked[0] == domain.decode(np.full(len(domain.names), 0.5))
    assert len({tuple(values.values()) for values in asked}) >= 4

    path = tmp_path / 'journal.jsonl'
    driver.search(make(name, domain), formula(reward), Journal(path, domain), NUM_TRIALS // 2 + 2)
    assert [trial.values for trial in Journal(path, domain).trials] == asked[: NUM_TRIALS // 2 + 2]
    # A fresh process, which is only told the journal, goes on with what the first would have asked.
    driver.search(make(name, domain), formula(reward), Journal(path, domain), NUM_TRIALS)
    assert [trial.values for trial in Journal(path, domain).trials] == asked


@pytest.mark.parametrize('name', list(OPTIMIZERS))
def test_another_seed_asks_something_else(name: str):
    domain, reward = DOMAINS['sparsity']()
    assert run(make(name, domain, seed=1), reward, 3)[1:] != run(make(name, domain, seed=2), reward, 3)[1:]


@pytest.mark.parametrize('name', list(OPTIMIZERS))
def test_asking_again_changes_nothing(name: str):
    domain, reward = DOMAINS['bits']()
    optimizer, patient = make(name, domain), make(name, domain)
    for _ in range(5):
        assert optimizer.ask() == optimizer.ask() == patient.ask()
        for one in (optimizer, patient):
            one.tell(one.ask(), reward(one.ask()))


def run_rounds(optimizer: HyperParamOptimizer, reward: Callable, journal: Journal, size: int) -> None:
    """Up to `NUM_TRIALS` in rounds of `size`, the trials of the journal included."""
    driver.replay(optimizer, journal, size)
    while len(journal.trials) < NUM_TRIALS:
        asked = optimizer.ask_many(driver.round_size(len(journal.trials), NUM_TRIALS, size))
        for number, values in enumerate(asked, len(journal.trials) + 1):
            journal.append(Trial(number, values, None, reward(values)))
        driver.replay(optimizer, journal, size)


@pytest.mark.parametrize('name', list(OPTIMIZERS))
def test_rounds_continue_from_their_journal(name: str):
    domain, reward = DOMAINS['sparsity']()
    whole, part = Journal(None, domain), Journal(None, domain)
    run_rounds(make(name, domain), reward, whole, 4)
    asked = [tuple(trial.values.values()) for trial in whole.trials]
    assert whole.trials[0].values == domain.decode(np.full(3, 0.5))
    assert len(set(asked)) == NUM_TRIALS
    part.append(*whole.trials[:8])
    run_rounds(make(name, domain), reward, part, 4)
    assert part.trials == whole.trials
    torn = Journal(None, domain)
    torn.append(*whole.trials[:9])
    run_rounds(make(name, domain), reward, torn, 4)
    assert len(torn.trials) == len({tuple(trial.values.values()) for trial in torn.trials}) == NUM_TRIALS


@pytest.mark.parametrize('name', list(OPTIMIZERS))
def test_a_batch_stays_until_all_of_it_is_told(name: str):
    domain, reward = DOMAINS['sparsity']()
    optimizer = make(name, domain)
    for _ in range(2):
        batch = optimizer.ask_many(3)
        for values in batch:
            assert optimizer.ask_many(3) == optimizer.ask_many(1) == batch and optimizer.ask() == batch[0]
            optimizer.tell(values, reward(values))
        assert not any(values in batch for values in optimizer.ask_many(3))


@pytest.mark.parametrize('name', list(OPTIMIZERS))
def test_what_was_not_asked_may_be_told_amid_a_batch(name: str):
    domain, reward = DOMAINS['bits']()
    optimizer, random = make(name, domain), np.random.default_rng(0)
    for _ in range(3):
        for values in [domain.decode(random.random(6)), *optimizer.ask_many(2), domain.decode(random.random(6))]:
            optimizer.tell(values, reward(values))
    assert len(optimizer.rewards) == len(optimizer.points) == 12
    domain.encode(optimizer.ask())


@pytest.mark.parametrize('name', list(OPTIMIZERS))
def test_what_is_no_candidate_is_refused(name: str):
    domain, _ = DOMAINS['bits']()
    with pytest.raises(UsageError, match='is over a mean of 4 bits'):
        make(name, domain).tell(dict.fromkeys(domain.names, 8), 1.0)


@pytest.mark.parametrize('name', list(OPTIMIZERS))
@pytest.mark.parametrize('num_trials', [1, 3])
def test_a_search_may_be_very_short(name: str, num_trials: int):
    domain, reward = DOMAINS['sparsity']()
    optimizer = OPTIMIZERS.get(name)(domain, 0, num_trials, **FAST.get(name, {}))
    assert len(run(optimizer, reward, num_trials)) == num_trials


def test_the_command_line_knows_them_all():
    field = next(field for field in option_fields(SearchOptions) if field.metadata['flag'] == 'hp_optimizer')
    assert list(field.metadata['choices']) == list(OPTIMIZERS)
