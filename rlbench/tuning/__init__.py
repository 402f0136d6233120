"""Tuning: an Optuna study whose trials are lanes, each on several seeds, and whose winner is judged on seeds that tuning never saw.

The files here are the only ones that import Optuna; what a command needs before (`request`, `space`, `study_file`, `objective`) does not.
"""
