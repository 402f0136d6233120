"""Watching trained runs: which run, its policy, its episodes, and the pictures made of them.

Reads a store and Gymnasium; writes pictures only. Knows nothing of training.
"""
