"""The behaviour policy: the actor's actions, with or without exploration noise."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.rl_agents.ddpg.networks import compiled, count_perturbable, perturb
from pocketflow.rl_agents.ddpg.options import DdpgOptions


class Behaviour:
    """Actions of an actor with noise on actions or on parameters (Plappert et al. 2018).

    Parameter noise is drawn once per roll-out; the perturbed actor does not change within it, even if the actor is
    trained.
    """

    def __init__(self, actor: keras.Model, a_min: float, a_max: float, options: DdpgOptions):
        self.actor = actor
        self.a_min, self.a_max = np.float32(a_min), np.float32(a_max)
        self.noise_on_parameters = options.noise_type == 'param'
        # Copied only where the copies are used: they take a third of the time in which an agent is made.
        self.perturbed, self.probe = (
            keras.models.clone_model(actor) if self.noise_on_parameters else actor for _ in range(2)
        )

    @property
    def variables(self) -> list[tf.Variable]:
        """The variables of the behaviour policy besides those of the actor."""
        return self.perturbed.variables if self.noise_on_parameters else []

    def begin_rollout(self, std: float, rng: np.random.Generator) -> None:
        if self.noise_on_parameters:
            self._perturb(self._parameter_noise(std, rng))

    def policy(self, states: np.ndarray) -> np.ndarray:
        """The actions (N, action_dim) without noise for states (N, state_dim)."""
        return self._within_range(self._clean(states).numpy())

    def act(self, states: np.ndarray, std: float, rng: np.random.Generator) -> np.ndarray:
        """The actions (N, action_dim) with noise; action noise is drawn independently for each."""
        if self.noise_on_parameters:
            return self._within_range(self._noisy(states).numpy())
        actions = self._clean(states).numpy()
        return self._within_range(actions + rng.normal(0, std, actions.shape))

    def distance(self, states: np.ndarray, std: float, rng: np.random.Generator) -> float:
        """Mean change of the actions by parameter noise: mean |mu(s) - mu_noisy(s)|, in units of the action."""
        return float(self._distance(states, self._parameter_noise(std, rng)))

    def _parameter_noise(self, std: float, rng: np.random.Generator) -> np.ndarray:
        return rng.normal(0, std, count_perturbable(self.actor)).astype(np.float32)

    def _within_range(self, actions: np.ndarray) -> np.ndarray:
        return np.clip(actions, self.a_min, self.a_max).astype(np.float32)

    @compiled
    def _clean(self, states: tf.Tensor) -> tf.Tensor:
        return self.actor(states)

    @compiled
    def _noisy(self, states: tf.Tensor) -> tf.Tensor:
        return self.perturbed(states)

    @compiled
    def _perturb(self, noise: tf.Tensor) -> None:
        perturb(self.perturbed, self.actor, noise)

    @compiled
    def _distance(self, states: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        perturb(self.probe, self.actor, noise)
        return tf.reduce_mean(tf.abs(self.actor(states) - self.probe(states)))
