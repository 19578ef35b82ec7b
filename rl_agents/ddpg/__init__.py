"""Deep deterministic policy gradients: an agent for continuous actions."""

from __future__ import annotations

from pocketflow.utils.system.late_imports import late_names

_PUBLIC = {'Agent': 'pocketflow.rl_agents.ddpg.agent', 'DdpgOptions': 'pocketflow.rl_agents.ddpg.options'}
"""Public name -> the module that defines it."""

__all__ = list(_PUBLIC)
__getattr__, __dir__ = late_names(__name__, _PUBLIC)
