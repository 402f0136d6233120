"""Optuna without the messages that nobody who tunes with rlbench can act on; imported by what imports Optuna."""

import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)
