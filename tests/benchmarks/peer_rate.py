"""Steps a second of another library's DQN on CartPole, in an interpreter that has it; needs nothing of rlbench.

    python peer_rate.py rejax 64,64 64 8 64            hidden units, minibatch, seconds, seeds

As near to the benchmark's algorithm as the library's options allow: Adam at 1e-4, an update at every step, a soft target, 10 000 stored
transitions, no evaluation, the first steps untimed. rejax has the squared error, and hidden units of 64-64 only.
"""

import importlib.util
import json
import os
import sys
import time

UNTIMED_STEPS = 200
STEPS_PER_CALL = 250  # of rejax, which trains so many steps in one compiled program
WARMUP = 130


def rejax_rate(units: tuple[int, ...], batch: int, seconds: float, seeds: int) -> float:
    """Steps of all seeds a second, compilation left out: `algo.train` under `jax.vmap`, or without it for one seed.

    The number of steps is one number for all seeds, as it is where `train` begins from seeds: batched, it would make every condition
    on it a selection, and each step slower.
    """
    os.environ |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
    import jax
    from rejax import DQN

    if units != (64, 64):
        raise SystemExit("rejax's DQN has hidden units of 64-64 only")
    algo = DQN.create(
        env="CartPole-v1",
        agent_kwargs={"activation": "relu"},
        num_envs=1,
        batch_size=batch,
        buffer_size=10_000,
        fill_buffer=WARMUP,
        learning_rate=1e-4,
        max_grad_norm=100.0,
        polyak=0.995,
        target_update_freq=1,
        ddqn=False,
        total_timesteps=STEPS_PER_CALL,
        eval_freq=STEPS_PER_CALL,
        skip_initial_evaluation=True,
    ).replace(eval_callback=lambda *_: ())

    def train(state):
        return algo.train(train_state=state)[0]

    if seeds == 1:
        state, advance = jax.jit(algo.init_state)(jax.random.PRNGKey(0)), jax.jit(train)
    else:
        state = jax.jit(jax.vmap(algo.init_state))(jax.random.split(jax.random.PRNGKey(0), seeds))
        state = state.replace(global_step=state.global_step[0])
        axes = jax.tree.map(lambda _: 0, state).replace(global_step=None)
        advance = jax.jit(jax.vmap(train, in_axes=(axes,), out_axes=axes))
    for _ in range(1 + UNTIMED_STEPS // STEPS_PER_CALL):
        state = jax.block_until_ready(advance(state))
    begin, calls = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        state = jax.block_until_ready(advance(state))
        calls += 1
    return calls * STEPS_PER_CALL * seeds / (time.perf_counter() - begin)


def stable_baselines3_rate(units: tuple[int, ...], batch: int, seconds: float, seeds: int) -> float:
    """Steps a second of one seed; it has no other way to train several than one after the other."""
    import torch
    from stable_baselines3 import DQN
    from stable_baselines3.common.callbacks import BaseCallback

    if seeds != 1:
        raise SystemExit("Stable-Baselines3 trains one seed at a time")
    torch.set_num_threads(1)

    class Timer(BaseCallback):
        begin = end = 0.0

        def _on_step(self) -> bool:
            self.end = time.perf_counter()
            if self.num_timesteps <= UNTIMED_STEPS:
                self.begin = self.end
            return self.end - self.begin < seconds

    model = DQN(
        "MlpPolicy",
        "CartPole-v1",
        policy_kwargs={"net_arch": list(units)},
        batch_size=batch,
        buffer_size=10_000,
        learning_starts=WARMUP,
        learning_rate=1e-4,
        max_grad_norm=100.0,
        tau=0.005,
        target_update_interval=1,
        train_freq=1,
        gradient_steps=1,
        device="cpu",
        seed=0,
    )
    timer = Timer()
    model.learn(10**9, callback=timer)
    return (model.num_timesteps - UNTIMED_STEPS) / (timer.end - timer.begin)


RATES = {"rejax": rejax_rate, "stable_baselines3": stable_baselines3_rate}

if __name__ == "__main__":
    if sys.argv[1] == "missing":
        print(json.dumps([name for name in RATES if importlib.util.find_spec(name) is None]))
    else:
        peer, widths, minibatch, limit, count = sys.argv[1:]
        sizes = tuple(int(width) for width in widths.split(","))
        print(json.dumps(RATES[peer](sizes, int(minibatch), float(limit), int(count))))
