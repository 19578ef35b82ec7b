"""The agent as its users see it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.rl_agents.ddpg import Agent, DdpgOptions
from pocketflow.rl_agents.ddpg.states import generator_state, new_generator, set_generator
from pocketflow.utils.errors import PocketFlowError, UsageError

SMALL = DdpgOptions(actor_depth=1, actor_width=4, critic_depth=1, critic_width=4, batch_size=4, learning_rate=0.01)
KINDS = {
    'param-tdecy': SMALL,
    'param-adapt': SMALL.replace(noise_protocol='adapt', enable_state_norm=True),
    'action-tdecy': SMALL.replace(noise_type='action', noise_std_init=0.1),
}


def new_agent(options: DdpgOptions = SMALL, **changes: Any) -> Agent:
    return Agent(**{'state_dim': 3, 'action_dim': 2, 'num_rollouts': 6, 'buf_size': 8, 'options': options, **changes})


def play(agent: Agent, num_rollouts: int, rollout_length: int = 4) -> list[np.ndarray]:
    """Some roll-outs in a world without chance; returns all that the agent did and said."""
    seen = []
    for _ in range(num_rollouts):
        agent.begin_rollout()
        state, rewards = np.zeros((1, 3), np.float32), []
        for step in range(rollout_length):
            action = agent.act(state)
            state_next = (state + [[0.5, *action[0]]]).astype(np.float32)
            rewards.append(float(action.sum() - state.sum() ** 2))
            agent.record(state, action, rewards[-1], step == rollout_length - 1, state_next)
            seen += [action.ravel(), np.array(agent.train())]
            state = state_next
        agent.end_rollout(np.array(rewards))
    return [*seen, agent.act(state, explore=False).ravel()]


def equal_states(one: Agent, other: Agent) -> bool:
    a, b = one.get_state(), other.get_state()
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)


def assert_all_equal(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'buf_size': 0}, 'buf_size=0: must be at least 1'),
        ({'num_rollouts': 0}, 'num_rollouts=0: must be at least 1'),
        ({'state_dim': 0}, 'state_dim=0'),
        ({'action_dim': 0}, 'action_dim=0'),
        ({'a_min': 1.0, 'a_max': 1.0}, 'a_min=1.0 to a_max=1.0: both must be finite, and a_min below a_max'),
        ({'a_max': float('nan')}, 'a_max=nan'),
        ({'a_max': float('inf')}, 'a_max=inf'),
        ({'seed': -1}, 'seed=-1: must be at least 0'),
        ({'min_samples': 9}, 'min_samples=9: .* at most buf_size=8'),
        ({'min_samples': 0}, 'min_samples=0'),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict, message: str):
    with pytest.raises(UsageError, match=message):
        new_agent(**changes)


@pytest.mark.parametrize('kind', KINDS)
def test_equal_calls_give_equal_agents_and_a_restored_one_goes_on_bit_by_bit(kind: str, request: pytest.FixtureRequest):
    if kind != 'param-adapt':  # one kind in graphs
        request.getfixturevalue('run_eagerly')
    agent, twin = new_agent(KINDS[kind], seed=5), new_agent(KINDS[kind], seed=5)
    assert_all_equal(play(agent, 4), play(twin, 4))
    assert equal_states(agent, twin)

    stored = io.BytesIO()
    np.savez(stored, **agent.get_state())
    stored.seek(0)
    restored = new_agent(KINDS[kind], seed=6)
    restored.act(np.ones(3))
    restored.set_state(np.load(stored))  # without pickle: plain arrays only
    assert_all_equal(play(agent, 2), play(restored, 2))
    assert equal_states(agent, restored)


def test_a_state_taken_within_a_rollout_holds_the_perturbed_actor():
    agent, restored = new_agent(), new_agent(seed=1)
    agent.begin_rollout()
    restored.set_state(agent.get_state())
    np.testing.assert_array_equal(restored.act(np.ones(3)), agent.act(np.ones(3)))


def test_another_seed_gives_another_agent():
    assert not np.array_equal(*(new_agent(seed=seed).act(np.ones(3), explore=False) for seed in (0, 1)))


@pytest.mark.usefixtures('run_eagerly')
def test_the_agent_neither_heeds_nor_disturbs_other_random_numbers():
    def others() -> tuple[float, float]:
        return float(tf.random.uniform(())), np.random.rand()

    tf.random.set_seed(1)
    np.random.seed(1)
    expected = others()
    tf.random.set_seed(1)
    np.random.seed(1)
    first = play(new_agent(), 3)
    assert others() == expected
    assert_all_equal(play(new_agent(), 3), first)


def test_a_state_of_other_sizes_is_refused():
    with pytest.raises(UsageError, match='has other sizes .see buffer/actions.'):
        new_agent().set_state(new_agent(buf_size=9).get_state())
    with pytest.raises(UsageError, match='has other sizes .see variables/'):
        new_agent().set_state(new_agent(SMALL.replace(critic_width=5)).get_state())


@pytest.mark.parametrize('kind', KINDS)
def test_actions_have_their_shape_and_range(kind: str):
    agent = new_agent(KINDS[kind].replace(noise_std_init=50.0), a_min=-0.1, a_max=0.3)
    agent.begin_rollout()
    states = np.random.default_rng(0).normal(size=(30, 3))
    for explore in (True, False):
        actions = [agent.act(state, explore) for state in states]
        assert {(action.shape, action.dtype) for action in actions} == {((1, 2), np.dtype('float32'))}
        assert np.min(actions) >= np.float32(-0.1) and np.max(actions) <= np.float32(0.3)
    np.testing.assert_array_equal(agent.act(states[0]).shape, agent.act(states[:1]).shape)


def test_noise_on_parameters_stays_through_a_rollout_and_changes_with_the_next():
    agent, state = new_agent(), np.ones(3)
    agent.begin_rollout()
    first = agent.act(state)
    np.testing.assert_array_equal(agent.act(state), first)
    assert not np.array_equal(agent.act(state, explore=False), first)
    agent.begin_rollout()
    assert not np.array_equal(agent.act(state), first)


@pytest.mark.usefixtures('run_eagerly')
def test_noise_on_parameters_stays_although_the_actor_learns():
    agent = new_agent(buf_size=1)
    agent.begin_rollout()
    noisy, clean = (agent.act(np.ones(3), explore) for explore in (True, False))
    agent.record(np.ones(3), noisy, 1.0, False, np.zeros(3))
    agent.train()
    np.testing.assert_array_equal(agent.act(np.ones(3)), noisy)
    assert not np.array_equal(agent.act(np.ones(3), explore=False), clean)


def test_noise_on_actions_has_the_standard_deviation_asked_for():
    agent, state = new_agent(KINDS['action-tdecy'], a_min=-10.0, a_max=10.0), np.ones(3)
    noise = np.array([agent.act(state) for _ in range(300)]) - agent.act(state, explore=False)
    assert np.std(noise) == pytest.approx(0.1, rel=0.1)
    assert abs(np.mean(noise)) < 0.02


@pytest.mark.usefixtures('run_eagerly')
def test_adapting_noise_moves_by_one_step_for_each_training_step():
    for distance, expected in ((1e-9, 1 / 1.03), (2.0, 1.03)):
        agent = new_agent(SMALL.replace(noise_protocol='adapt', noise_distance=distance), buf_size=1)
        agent.record(np.ones(3), np.ones(2), 1.0, False, np.zeros(3))
        assert agent.train()[2] == pytest.approx(expected)
        assert agent.exploration.std == pytest.approx(expected)


@pytest.mark.parametrize('min_samples', [None, 2])
@pytest.mark.usefixtures('run_eagerly')
def test_nothing_is_learned_in_the_warm_up(min_samples: int | None):
    agent = new_agent(min_samples=min_samples)
    before = agent.get_state()
    for count in range(1, 9):
        agent.record(np.ones(3), np.ones(2), 1.0, False, np.zeros(3))
        ready = count >= (min_samples or 8)
        assert agent.is_ready == ready
        actor_loss, critic_loss, std = agent.train()
        assert (actor_loss, critic_loss) != (0.0, 0.0) if ready else (actor_loss, critic_loss) == (0.0, 0.0)
        assert std == 1.0
        if not ready:
            after = agent.get_state()
            assert all(np.array_equal(before[name], after[name]) for name in before if name.startswith('variables'))


@pytest.mark.usefixtures('run_eagerly')
def test_noise_is_final_in_the_last_rollout():
    agent = new_agent()  # eight transitions: the agent learns from the second of six roll-outs on
    play(agent, 6)
    assert agent.exploration.std == 1e-5


def test_every_kth_of_the_transitions_recorded_together_is_kept():
    agent = new_agent(SMALL.replace(record_step=3))
    rewards = np.arange(7)
    agent.record(np.zeros((7, 3)), np.zeros((7, 2)), rewards, np.zeros(7), np.zeros((7, 3)))
    assert agent.buffer.columns.rewards[: len(agent.buffer), 0].tolist() == [0, 3, 6]


def test_rewards_are_learned_against_the_baseline():
    agent = new_agent(buf_size=1)
    agent.record(np.zeros(3), np.zeros(2), [[5.0]], [[1.0]], np.zeros(3))
    agent.end_rollout(np.array([[2.0], [4.0]]))
    np.testing.assert_array_equal(agent._sample().rewards, [[2.0]] * 4)
    assert agent.buffer.columns.rewards[0, 0] == 5


def test_states_are_normalized_for_acting_and_learning_alike():
    agent = new_agent(SMALL.replace(enable_state_norm=True), buf_size=2)
    states = np.array([[0.0, 10.0, -2.0], [2.0, 30.0, -2.0]], np.float32)
    agent.record(states, np.zeros((2, 2)), np.zeros(2), np.zeros(2), states + 1)
    batch = agent._sample()
    assert set(map(tuple, batch.states)) <= {(-1, -1, 0), (1, 1, 0)}
    assert batch.states_next[:, 2] == pytest.approx(100)  # 1 / sqrt(1e-4)
    same = np.array([[1.0, 1.0, 0.0]], np.float32)
    np.testing.assert_array_equal(agent.act(states[1], explore=False), agent.behaviour.policy(same))


@pytest.mark.usefixtures('run_eagerly')
def test_reset_forgets_everything_but_where_the_generator_is():
    agent = new_agent(KINDS['param-adapt'])
    fresh = agent.get_state()
    play(agent, 4)
    agent.reset()
    state = agent.get_state()
    assert (state['buffer/count'], agent.baseline.value, agent.exploration.std, agent.moments.count) == (0, 0, 1.0, 0)
    first = next(name for name in fresh if name.startswith('variables/'))
    assert not np.array_equal(state[first], fresh[first])
    set_generator(agent.rng, generator_state(new_generator(0)))
    agent.reset()
    again = agent.get_state()
    kept = [name for name in fresh if not name.startswith('buffer/') or name in ('buffer/count', 'buffer/position')]
    assert [name for name in kept if not np.array_equal(again[name], fresh[name], equal_nan=True)] == []


def test_a_number_that_is_not_finite_is_refused_where_it_comes_in():
    agent = new_agent()
    with pytest.raises(PocketFlowError, match='rewards with a value that is not finite'):
        agent.record(np.zeros(3), np.zeros(2), np.nan, False, np.zeros(3))
    with pytest.raises(PocketFlowError, match='rewards with a value that is not finite'):
        agent.end_rollout(np.array([np.inf]))
    assert len(agent.buffer) == 0


def test_losses_that_overflow_are_reported():
    agent = new_agent(buf_size=1)
    agent.record(np.zeros(3), np.zeros(2), 1e30, True, np.zeros(3))
    with pytest.raises(PocketFlowError, match='--ddpg_lrn_rate=0.01'):
        agent.train()


def test_arrays_that_do_not_fit_are_refused():
    agent = new_agent()
    with pytest.raises(ValueError, match='rows of 3 numbers, got an array of shape .4,.'):
        agent.act(np.zeros(4))
    with pytest.raises(ValueError, match=r'differ in length: \[2, 2, 1, 2, 2\]'):
        agent.record(np.zeros((2, 3)), np.zeros((2, 2)), [1.0], [0.0, 1.0], np.zeros((2, 3)))


def test_learning_is_traced_once():
    agent = new_agent(KINDS['param-adapt'])
    play(agent, 4)
    counts = [
        function.experimental_get_tracing_count()
        for function in (
            agent.networks.update,
            agent.behaviour._distance,
            agent.behaviour._noisy,
            agent.behaviour._clean,
        )
    ]
    assert counts == [1, 1, 1, 1]
