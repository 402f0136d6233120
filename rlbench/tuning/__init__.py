"""Tuning: an Optuna study whose trials are lanes, each on several seeds, and whose winner is judged on seeds that tuning never saw.

`optuna_names` alone imports Optuna; what a command needs before (`request`, `space`, `study_file`, `objective`) does without it.
"""
