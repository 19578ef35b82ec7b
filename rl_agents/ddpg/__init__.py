"""Deep deterministic policy gradients: an agent for continuous actions."""

from pocketflow.rl_agents.ddpg.agent import Agent
from pocketflow.rl_agents.ddpg.options import DdpgOptions

__all__ = ['Agent', 'DdpgOptions']
