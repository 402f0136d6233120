"""Many steps of many lanes. `Trainer.advance` in `trainer` is the way in, then `Block._run_span` in `block`.

1. `lane` and `lane_state`: a run between trainers, and as tensors.
2. `schedule` decides how far a span of steps goes; `learner` stores steps and updates; `recording` writes down what happened.
3. `sight` (what networks see: numbers or pixels), `environments` (of Gymnasium), `policies` (who chooses actions).
4. `evaluation`, and `episodic` with `validations`: what hangs on episodes.
"""
