"""The parts of the DQN family in plain PyTorch and NumPy, one run at a time, written from their papers.

The engine is held against them number by number, and timed against them by `python -m tests.benchmarks parts`.

`agent.PlainAgent(variant, obs_size=4, num_actions=2)` is a learner as one writes it: `act(obs)`, `store(obs_tm1, action, reward, obs_t,
terminated, truncated)`, `update()`. It knows one-step returns, uniform replay and scalar values. What another member of a group does stands
in a module of this package that is named after the member's `kind`, with a class `Plain(variant)`:

| group | methods of `Plain` |
|---|---|
| returns | `completed(step: Transition, is_last: bool) -> list[Transition]`: the transitions that are complete now that this step was taken |
| replay | `add(transition: Transition)`, `sample(uniforms [B] float64) -> (index [B], weights [B] float32)`, `learned(index, errors [B])`, `rows(index) -> Transition` of arrays |
| estimator | `values(outputs [B, A * width]) -> [B, A]`, `losses(outputs_tm1 [B, A * width], batch: Batch) -> (losses [B], errors [B])` |

Networks are their own plain modules, `variant.network.module(...)`; noise of their layers is drawn before each pass.
"""
