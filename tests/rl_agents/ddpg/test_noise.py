"""How the noise changes from roll-out to roll-out."""

from __future__ import annotations

import pytest

from pocketflow.rl_agents.ddpg import DdpgOptions
from pocketflow.rl_agents.ddpg.noise import Exploration, adapted_std, decayed_std


def stds(exploration: Exploration, num_rollouts: int, first_training: int | None) -> list[float]:
    """The standard deviation in each roll-out, with training from one of them (counted from 1) on."""
    found = []
    for rollout in range(1, num_rollouts + 1):
        exploration.begin_rollout()
        found.append(exploration.std)
        if first_training is not None and rollout >= first_training:
            exploration.end_warm_up()
    return found


def test_decay_is_geometric():
    assert [decayed_std(1.0, 1e-4, done, 4 - done) for done in range(5)] == pytest.approx([1, 0.1, 0.01, 0.001, 1e-4])


def test_decay_ends_exactly_and_stays_there():
    assert decayed_std(0.7, 1e-5, 3, 0) == 1e-5
    assert decayed_std(0.7, 1e-5, 9, -2) == 1e-5


def test_adapting_is_a_step_towards_the_target():
    assert adapted_std(1.03, distance=0.02, target=0.01, rate=1.03) == pytest.approx(1)
    assert adapted_std(1.0, distance=0.005, target=0.01, rate=1.03) == 1.03


def test_noise_waits_for_the_warm_up_and_then_goes_all_the_way():
    exploration = Exploration(DdpgOptions(noise_std_init=1.0, noise_std_final=1e-3), num_rollouts=6)
    assert stds(exploration, 6, first_training=3) == pytest.approx([1, 1, 1, 0.1, 0.01, 0.001])
    assert exploration.std == 1e-3


@pytest.mark.parametrize('num_rollouts', [2, 3, 7, 200])
@pytest.mark.parametrize('first_training', [1, 2, 50])
def test_the_last_rollout_has_the_final_noise_however_long_the_warm_up(num_rollouts: int, first_training: int):
    found = stds(Exploration(DdpgOptions(), num_rollouts), num_rollouts, first_training)
    assert found[-1] == (1e-5 if first_training < num_rollouts else 1.0)
    assert found == sorted(found, reverse=True)


def test_more_rollouts_than_planned_keep_the_final_noise():
    assert stds(Exploration(DdpgOptions(), 3), 5, first_training=1)[2:] == [1e-5] * 3
    assert stds(Exploration(DdpgOptions(), 1), 2, first_training=1) == [1.0, 1e-5]


def test_noise_without_training_does_not_decay():
    assert stds(Exploration(DdpgOptions(), 4), 4, first_training=None) == [1.0] * 4


def test_noise_that_adapts_does_not_decay():
    assert stds(Exploration(DdpgOptions(noise_protocol='adapt'), 4), 4, first_training=1) == [1.0] * 4


def test_reset_begins_anew_and_restoring_goes_on():
    exploration, other = Exploration(DdpgOptions(), 8), Exploration(DdpgOptions(), 8)
    expected = stds(exploration, 8, first_training=2)
    exploration.reset()
    assert stds(exploration, 5, first_training=2) == expected[:5]
    other.set_state(exploration.get_state())
    assert stds(other, 3, first_training=1) == expected[5:]
