"""Reinforcement-learning agents, independent of the networks to be compressed."""
