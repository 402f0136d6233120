"""The engine: runs as lanes of one batched program. Knows nothing of files, W&B or Optuna.

A newcomer reads it in the order of its folders, and each folder in the order that its docstring gives. A folder knows of those before it.

1. `choices`: what is chosen, as small frozen values with their behaviour.
2. `steps`: what one step computes, of acting and of learning, as functions of tensors.
3. `fast`: how these become fast: what fits the cache, what is compiled together, and how.
4. `training`: many steps of many lanes, with evaluation and checkpoints. `training.trainer.Trainer` is the way in.

`tensors` (what the state of lanes is) and `streams` (its random numbers) stand before them, `exactness` (how a variant is known to be
exact) behind them.
"""
