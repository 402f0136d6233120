"""Weights & Biases as a tracker: its settings, its client, its server, and its reports. Importing this package imports nothing."""
