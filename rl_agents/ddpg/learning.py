"""Training of actor and critic on batches of transitions (Lillicrap et al. 2016, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.rl_agents.ddpg.networks import build_actor, build_critic, compiled, copy_variables, initialize
from pocketflow.rl_agents.ddpg.options import DdpgOptions
from pocketflow.rl_agents.ddpg.replay_buffer import Transitions


def bellman_targets(rewards: tf.Tensor, terminals: tf.Tensor, values_next: tf.Tensor, gamma: float) -> tf.Tensor:
    """The targets y = r + gamma Q'(s', mu'(s')), or y = r where the roll-out ended; all of shape (N, 1)."""
    return rewards + (1 - terminals) * gamma * values_next


def soft_update(targets: Sequence[tf.Variable], sources: Sequence[tf.Variable], tau: float) -> None:
    """Moves each target: theta' := (1 - tau) theta' + tau theta."""
    for target, source in zip(targets, sources, strict=True):
        target.assign((1 - tau) * target + tau * source)


def half_squared_norm(variables: Sequence[tf.Variable]) -> tf.Tensor:
    return tf.add_n([tf.nn.l2_loss(variable) for variable in variables])


class ActorCritic:
    """Actor and critic, their target networks and their optimizers."""

    def __init__(self, state_dim: int, action_dim: int, a_min: float, a_max: float, options: DdpgOptions):
        self.options = options
        actor_sizes = (state_dim, action_dim, options.actor_depth, options.actor_width, a_min, a_max)
        critic_sizes = (state_dim, action_dim, options.critic_depth, options.critic_width)
        self.actor, self.actor_target = build_actor(*actor_sizes), build_actor(*actor_sizes)
        self.critic, self.critic_target = build_critic(*critic_sizes), build_critic(*critic_sizes)
        self.actor_optimizer = self._optimizer(self.actor)
        self.critic_optimizer = self._optimizer(self.critic)

    def _optimizer(self, network: keras.Model) -> keras.optimizers.Optimizer:
        optimizer = keras.optimizers.Adam(self.options.learning_rate)
        optimizer.build(network.trainable_variables)
        return optimizer

    def initialize(self, rng: np.random.Generator) -> None:
        """Initialises the networks, copies them to the targets, and resets the optimizers."""
        for network, target in ((self.actor, self.actor_target), (self.critic, self.critic_target)):
            initialize(network, rng)
            copy_variables(target, network)
        for optimizer in (self.actor_optimizer, self.critic_optimizer):
            for slot in optimizer.variables:
                slot.assign(tf.zeros_like(slot))

    @property
    def variables(self) -> list[tf.Variable]:
        """All variables that training changes, in a fixed order."""
        parts = (
            self.actor,
            self.critic,
            self.actor_target,
            self.critic_target,
            self.actor_optimizer,
            self.critic_optimizer,
        )
        return [variable for part in parts for variable in part.variables]

    def critic_loss(self, batch: Transitions) -> tf.Tensor:
        """0.5 mean (Q(s, a) - y)^2, with weight decay."""
        values_next = self.critic_target([batch.states_next, self.actor_target(batch.states_next)])
        targets = bellman_targets(batch.rewards, batch.terminals, values_next, self.options.gamma)
        errors = self.critic([batch.states, batch.actions]) - tf.stop_gradient(targets)
        return 0.5 * tf.reduce_mean(errors**2) + self._decay(self.critic)

    def actor_loss(self, batch: Transitions) -> tf.Tensor:
        """-mean Q(s, mu(s)), with weight decay."""
        values = self.critic([batch.states, self.actor(batch.states)])
        return -tf.reduce_mean(values) + self._decay(self.actor)

    def _decay(self, network: keras.Model) -> tf.Tensor | float:
        factor = self.options.weight_decay
        return factor * half_squared_norm(network.trainable_variables) if factor else 0.0

    @compiled
    def update(self, batch: Transitions) -> tuple[tf.Tensor, tf.Tensor]:
        """One step of the critic, one of the actor, one of the targets, in this order; returns (actor, critic) loss."""
        critic_loss = self._descend(self.critic_loss, batch, self.critic, self.critic_optimizer)
        actor_loss = self._descend(self.actor_loss, batch, self.actor, self.actor_optimizer)
        soft_update(self.actor_target.variables, self.actor.variables, self.options.tau)
        soft_update(self.critic_target.variables, self.critic.variables, self.options.tau)
        return actor_loss, critic_loss

    @staticmethod
    def _descend(
        loss_of: Callable[[Transitions], tf.Tensor],
        batch: Transitions,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
    ) -> tf.Tensor:
        """One optimizer step on the variables of one network only."""
        variables = network.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            loss = loss_of(batch)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss
