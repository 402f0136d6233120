"""Environments: pure tensor ones that step all lanes at once, and any Gymnasium environment with one copy per lane.

In: an environment id, states and actions. Out: next states, observations, rewards and the two flags.
Knows nothing of training.
"""
