"""Agents that learn to act from rewards, and toy environments to try them on. They know of no networks to compress."""
