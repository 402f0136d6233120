"""The engine: runs as lanes of one batched program. Knows nothing of files, W&B or Optuna.

A newcomer reads it in this order:

1. What is chosen. `choice` (numbers differ from lane to lane, structure does not), `bases` (what each group of choices has to do),
   `variant` (all of them together, and a run), `registry` (the members of the groups), and the members: `networks` of `layers` and
   `convolution`, `losses`, `estimators` and `distributions` (what outputs mean), `returns`, `targets`, `optimizers`, `clipping`,
   `exploration`, `replay` and `prioritised`, `observations`, `validation`.
2. What a lane is. `lane` and `lane_state` (a run as tensors), `columns` and `transitions` (a stored step), `streams` (its random numbers),
   `observing`, `sight` and `frame_memory` (what it sees).
3. How a step runs. `Trainer.advance` in `trainer` is the way in, then `Block._run_span` in `block`: `schedule` and `noise` decide and
   draw beforehand, `acting` takes a step, `learner` stores it and calls `update`, whose gradients are made in `learning`; `recording`
   writes down what happened. What one published script does in its own way is in `recipes`.
4. Beside training. `player` plays episodes for `evaluation` and `validations`, by `policies`.
5. How it is made fast. `chunks` (what fits the cache), `computations` (what is compiled together), `compiling`.
6. How it is known to be exact. `exactness`, `platform`.
"""
