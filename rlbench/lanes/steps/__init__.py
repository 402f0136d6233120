"""What one step computes: functions of tensors [lanes, ...] and of a stacked variant.

1. `columns`, `transitions` and `frame_memory`: what is stored of a step, and what a minibatch reads; `memories`: replay that remembers.
2. `noise` and `weight_noise`: the random numbers of steps, drawn ahead. `observing`: what an agent sees of its environment.
3. `acting`: one step of the environments, without a look at a value. `player`: the same beside training, to the ends of episodes.
4. `learning` (goal, losses, gradients), then `update` (clipping, optimiser, target). What one published script does in its own way is in
   `recipes`.
"""
