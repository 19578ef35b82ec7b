"""Agents that learn to act from rewards; they know nothing of networks to be compressed."""
