"""The search, the longer tuning of the best, and the record; continuation after a kill."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocketflow.hp_optimizer import Layer, SearchProblem, TrialResult
from pocketflow.hp_optimizer.domain import Values
from pocketflow.hp_optimizer.optimizers.ddpg import DdpgOptimizer
from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.search import plan_search
from pocketflow.learners.search.candidates import SearchTarget
from pocketflow.learners.search.plan_search import PlanSearch, SearchSettings, read_record
from pocketflow.rl_agents.ddpg.options import DdpgOptions
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.reports.search import results as search_results
from pocketflow.utils.system import atomic
from tests.learners.search.conftest import tiny_context

SIZES = {'one': 100, 'two': 400, 'three': 500}
BEST = {'one': 0.4, 'two': 0.7, 'three': 0.85}
SMALL_AGENT = DdpgOptions(actor_depth=1, actor_width=8, critic_depth=1, critic_width=8, batch_size=8)
# The graphs of the agent are tested in tests/rl_agents/ddpg.
pytestmark = pytest.mark.usefixtures('run_eagerly', '_few_updates')
METHODS = ('ddpg', 'gp', 'random', 'tpe')


@pytest.fixture
def _few_updates(monkeypatch):
    """The agent trains for two steps after each trial."""
    monkeypatch.setattr(DdpgOptimizer, '__init__', functools.partialmethod(DdpgOptimizer.__init__, num_updates=2))


class Formula(SearchTarget):
    """Sparsities of three layers, of a mean of three quarters."""

    searched, budget, cost_unit, sizes = 'sparsity', 'a sparsity of 0.75', 'non-zero weights', SIZES

    def __init__(self) -> None:
        self.domain = SearchProblem(
            [
                Layer(name, 0.25, 0.95, lambda value, size=size: size * (1 - value), (size / 500,))
                for name, size in SIZES.items()
            ],
            250,
        )

    def chosen(self, values: Values) -> dict[str, Any]:
        return {name: round(value, 6) for name, value in values.items()}


class Judge:
    """A formula, more of which is known after longer tuning; keeps what it was asked, and may be killed."""

    def __init__(self, dies_at: int | None = None):
        self.asked: list[tuple[Values, bool]] = []
        self._dies_at = dies_at

    def __call__(self, values: Values, longer: bool, floor: float) -> TrialResult:
        if self._dies_at == len(self.asked):
            raise KeyboardInterrupt
        self.asked.append((values, longer))
        loss = sum((values[name] - best) ** 2 for name, best in BEST.items())
        return TrialResult(1 - loss * (2 if longer else 1), 0.5 - loss)


def searching(
    folder: Path, method: str = 'random', num_rollouts: int = 8, num_verified: int = 2, **settings
) -> PlanSearch:
    context = tiny_context(folder, SearchOptions(optimizer=method, num_verified=num_verified))
    context = dataclasses.replace(context, ddpg=SMALL_AGENT)
    plain = SearchSettings(num_rollouts, 3, reward_settings={'steps': 5})
    return PlanSearch(context, 'weight-sparse', dataclasses.replace(plain, **settings))


def run(one: PlanSearch, judge: Callable) -> dict[str, Any]:
    """The record of a search."""
    chosen = one.run(lambda: (Formula(), judge))
    record = read_record(one.context.folder)
    assert record['chosen'] == chosen
    return record


def timeless(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what depends on the clock."""
    kept = {key: value for key, value in record.items() if key not in ('seconds', 'evaluating')}
    return {
        **kept,
        **{
            part: [{key: value for key, value in trial.items() if key != 'seconds'} for trial in record[part]]
            for part in ('trials', 'verified')
        },
    }


ENTRY = {
    'learner',
    'optimizer',
    'searched',
    'budget',
    'cost_unit',
    'seconds',
    'evaluating',
    'trials',
    'front',
    'verified',
    'winner',
    'layers',
}
"""What the record must hold, as `pocketflow.utils.reports.search.results` has it."""


def test_the_record_is_what_the_report_reads(tmp_path):
    record = run(searching(tmp_path), Judge())
    assert set(record) >= ENTRY and all(f'`{key}`' in search_results.__doc__ for key in ENTRY)
    assert [trial['number'] for trial in record['trials']] == list(range(1, 9))
    assert set(record['trials'][0]) == {
        'number',
        'reward',
        'before',
        'cost',
        'screened',
        'same_as',
        'seconds',
        'values',
    }
    assert all(set(entry) >= {'source', 'trial', 'reward', 'cost', 'values'} for entry in record['verified'])
    assert [row['layer'] for row in record['layers']] == list(SIZES)
    assert [row['weights'] for row in record['layers']] == list(SIZES.values())
    assert 0 <= record['evaluating'] <= 1 and record['seconds'] >= 0
    assert (record['learner'], record['optimizer'], record['searched']) == ('weight-sparse', 'random', 'sparsity')
    assert 'sparsity by random, 8 trials in ' in search_results.outcome(record)
    assert len(search_results.drawn_trials(record)) == 8
    assert search_results.counted(record).startswith('8 trials: 8 measured')


@pytest.mark.parametrize('method', METHODS)
def test_the_winner_is_the_best_of_the_verified_and_uniform_is_among_them(tmp_path, method):
    judge = Judge()
    record = run(searching(tmp_path, method), judge)
    verified = {entry['source']: entry for entry in record['verified']}
    winner = verified[record['winner']]
    assert winner['reward'] == max(entry['reward'] for entry in verified.values())
    assert record['chosen'] == {name: round(value, 6) for name, value in winner['values'].items()}
    assert [row['winner'] for row in record['layers']] == list(winner['values'].values())
    assert verified['uniform']['values'] == record['trials'][0]['values'] == pytest.approx(dict.fromkeys(SIZES, 0.75))
    assert verified['uniform']['trial'] == 1
    trials = sorted(record['trials'], key=lambda trial: -trial['reward'])
    best = [f'trial {trial["number"]}' for trial in trials if trial['number'] != 1][:2]
    assert [source for source in verified if source.startswith('trial ')] == best
    for source in best:
        number = int(source.split()[1])
        assert verified[source]['trial'] == number
        assert verified[source]['values'] == record['trials'][number - 1]['values']
    assert [longer for _, longer in judge.asked] == [False] * 8 + [True] * len(verified)


def test_the_policy_of_the_agent_is_verified_too(tmp_path):
    record = run(searching(tmp_path, 'ddpg'), Judge())
    (policy,) = (entry for entry in record['verified'] if entry['source'] == 'policy')
    assert policy['trial'] is None and sum(size * (1 - policy['values'][name]) for name, size in SIZES.items()) <= 251


def test_a_winner_that_only_longer_tuning_shows(tmp_path):
    """The trials rank candidates one way, longer tuning the other."""
    judge = Judge()

    def contrary(values: Values, longer: bool, floor: float) -> TrialResult:
        reward = judge(values, longer, floor).reward
        return TrialResult(-reward if longer else reward)

    record = run(searching(tmp_path), contrary)
    rewards = {entry['source']: entry['reward'] for entry in record['verified']}
    assert record['winner'] == max(rewards, key=rewards.get) != max(rewards, key=lambda source: -rewards[source])


def test_candidates_without_a_reward_are_not_verified(tmp_path):
    judge = Judge()

    def fails(values: Values, longer: bool, floor: float) -> TrialResult:
        result = judge(values, longer, floor)
        return result if len(judge.asked) in (1, 4) or longer else TrialResult(float('nan'), result.before)

    record = run(searching(tmp_path), fails)
    assert [entry['source'] for entry in record['verified']] == ['uniform', 'trial 4']
    assert [trial['reward'] is None for trial in record['trials']] == [False, True, True, False] + [True] * 4


def test_nothing_but_failures(tmp_path):
    with pytest.raises(PocketFlowError, match='weight-sparse: search: none of 8 trials had a finite reward'):
        run(searching(tmp_path), lambda values, longer, floor: TrialResult(float('nan')))


@pytest.mark.parametrize('method', ['tpe', 'ddpg'])
def test_killed_and_continued_is_as_good_as_never_stopped(tmp_path, method):
    """Killed within the trials, within those by the agent, and within the longer tuning."""
    whole = Judge()
    expected = timeless(run(searching(tmp_path / 'whole', method), whole))
    for dies_at in (2, 6, len(whole.asked) - 1):
        folder = tmp_path / str(dies_at)
        first, second = Judge(dies_at), Judge()
        with pytest.raises(KeyboardInterrupt):
            run(searching(folder, method), first)
        assert read_record(folder / 'stage') is None
        assert timeless(run(searching(folder, method), second)) == expected
        assert [*first.asked, *second.asked] == whole.asked


def test_a_finished_search_is_only_read(tmp_path):
    record = run(searching(tmp_path), Judge())
    assert searching(tmp_path).run(lambda: pytest.fail('made again')) == record['chosen']
    assert read_record(tmp_path / 'stage') == record


@pytest.mark.parametrize('change', [{'reward_settings': {'steps': 6}}, {'num_rollouts': 8, 'method': 'tpe'}])
def test_a_journal_of_other_settings_is_refused(tmp_path, change):
    with pytest.raises(KeyboardInterrupt):
        run(searching(tmp_path), Judge(3))
    journal = tmp_path / 'stage' / 'search.jsonl'
    before = journal.read_text()
    with pytest.raises(
        UsageError,
        match=r'search.jsonl is the journal of another search \(fingerprint .* its layers, '
        'bounds, budget or evaluation differ; use another run directory, or delete ',
    ):
        run(searching(tmp_path, **change), Judge())
    assert journal.read_text() == before


@pytest.mark.parametrize('method', METHODS)
def test_one_trial_is_enough(tmp_path, method):
    record = run(searching(tmp_path, method, num_rollouts=1), Judge())
    assert len(record['trials']) == 1 and record['winner'] == 'uniform' and record['front'] == [1]
    assert [entry['source'] for entry in record['verified']] == ['uniform']
    assert record['chosen'] == dict.fromkeys(SIZES, 0.75)


@pytest.mark.parametrize(
    ('num_rollouts', 'num_rollouts_min', 'expected'), [(8, 50, 4), (9, 50, 4), (8, 3, 3), (1, 50, 1)]
)
def test_roll_outs_before_the_agent_acts_are_half_of_all_at_most(
    tmp_path, monkeypatch, num_rollouts, num_rollouts_min, expected
):
    made: dict[str, Any] = {}
    ddpg = plan_search.OPTIMIZERS.get('ddpg')

    class Spy:
        @staticmethod
        def get(name: str) -> Callable:
            assert name == 'ddpg'
            return lambda *arguments, **more: (made.update(more), ddpg(*arguments, **more))[1]

    monkeypatch.setattr(plan_search, 'OPTIMIZERS', Spy)
    run(searching(tmp_path, 'ddpg', num_rollouts, num_rollouts_min=num_rollouts_min, random_layers=True), Judge())
    assert made['num_warmup'] == expected and made['enbl_random_layers'] is True


def test_the_front_is_of_candidates_that_none_beats(tmp_path):
    class Free(Formula):
        """Without a budget: whoever costs more is worth more."""

        budget = None

    judge = Judge()

    def dearer(values: Values, longer: bool, floor: float) -> TrialResult:
        judge(values, longer, floor)
        return TrialResult(1 - len(judge.asked) / 100)

    record = run(searching(tmp_path), dearer)
    assert record['front'][0] == 1 or 1 in record['front']
    rewards = {trial['number']: (trial['cost'], trial['reward']) for trial in record['trials']}
    for number in record['front']:
        cost, reward = rewards[number]
        assert not any(other_cost < cost and other >= reward for other_cost, other in rewards.values())


def test_screening_is_for_the_search_alone(tmp_path):
    floors: list[tuple[bool, float]] = []
    judge = Judge()

    def noting(values: Values, longer: bool, floor: float) -> TrialResult:
        floors.append((longer, floor))
        return judge(values, longer, floor)

    record = run(searching(tmp_path, num_rollouts=16, screening=True), noting)
    assert any(floor > float('-inf') for longer, floor in floors if not longer)
    assert all(floor == float('-inf') for longer, floor in floors if longer)
    assert record['trials'][0]['before'] is not None
    json.dumps(record, allow_nan=False)


def test_the_time_of_a_search_is_its_own(tmp_path):
    """Two learners of a chain may search, one after the other."""
    atomic.write_json(tmp_path / '1-other' / 'search.json', {'seconds': 1000.0})
    atomic.write_json(tmp_path / 'seconds.json', {'search': 1000.5, 'train': 7.0})
    record = run(searching(tmp_path), Judge())
    assert 0.5 <= record['seconds'] < 100 and 0 <= record['evaluating'] <= 1


def test_time_before_a_kill_counts(tmp_path):
    atomic.write_json(tmp_path / 'seconds.json', {'search': 300.0})
    assert 300 <= run(searching(tmp_path), Judge())['seconds'] < 400
