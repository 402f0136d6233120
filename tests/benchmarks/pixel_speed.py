"""Pixels: the batched renderer against the window renderer, what a stored transition costs, and updates against a plain loop.

The plain loop keeps the tutorial's stored frames (tensors in a deque, concatenated for each minibatch) and updates one network with
`torch.optim`; a lane's update samples states, draws their frames, and does the same. Both on one core, in turn, in one run.
"""

import collections
import functools
import os
import random
import statistics
import time
from collections.abc import Callable

import gymnasium
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from rlbench.config import resolve
from rlbench.envs.frames import frame_renderer
from rlbench.envs.window import Window
from rlbench.lanes.choices.convolution import Conv
from rlbench.lanes.choices.observations import Pixel
from rlbench.lanes.fast.chunks import stored_columns
from rlbench.lanes.fast.drawing import drawing
from rlbench.lanes.steps.observing import observed
from rlbench.lanes.training.lane import Lane
from rlbench.lanes.training.lane_state import initial_state
from rlbench.lanes.training.trainer import Trainer
from tests.benchmarks.roof import best_gflops

TUTORIAL = Window(top=0.4, bottom=0.8, width=0.6, follow=True, rows=40, columns=90)
WHOLE = Window(top=0.0, bottom=1.0, width=1.0, follow=False, rows=40, columns=90)
WHOLE_FRAMES = {
    "MountainCar-v0": [(-1.2, 0.6), (-0.07, 0.07)],
    "Acrobot-v1": [(-1.5, 1.5), (-1.5, 1.5), (-2.0, 2.0), (-2.0, 2.0)],
}  # where states are drawn from
LANES = 64
ROUNDS = 5
UPDATES = 12


def seconds_of(work: Callable[[], object], repeats: int) -> float:
    begin = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - begin) / repeats


def window_patch(env: gymnasium.Env, state: np.ndarray) -> np.ndarray:
    """One patch through the window toolkit, as the tutorial has it."""
    env.unwrapped.state = state  # type: ignore[attr-defined]
    frame = np.asarray(env.render())
    start = min(max(int(state[0] * 125 + 300) - 180, 0), 240)
    crop = Image.fromarray(np.ascontiguousarray(frame[160:320, start : start + 360]))
    return np.asarray(crop.resize((90, 40), Image.Resampling.BICUBIC)).transpose(2, 0, 1).astype(np.float32)


def bench_renderer() -> dict[str, float]:
    """Frames a second of 64 lanes at once, one core, and of the window; in turn, medians. Sampling makes observations of them too."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    env = gymnasium.make("CartPole-v1", render_mode="rgb_array")
    env.reset(seed=0)
    render = frame_renderer("CartPole-v1", TUTORIAL)
    rng = np.random.default_rng(0)
    states = rng.uniform([-1, -1, -0.2, -1], [1, 1, 0.2, 1], (384, 4))
    drawn = render.drawn(torch.from_numpy(states))
    few = drawn[:LANES].clone()
    sample, minibatch = drawing(render, Pixel(), len(drawn) // 3), drawn.view(-1, 3, 2)
    render(drawn), sample(minibatch), window_patch(env, states[0])
    found: dict[str, list[float]] = {"window": [], "acting": [], "sampling": []}
    for _ in range(ROUNDS):
        found["window"].append(statistics.mean(seconds_of(lambda s=s: window_patch(env, s), 1) for s in states[:20]))  # type: ignore[misc]
        found["acting"].append(seconds_of(lambda: render(few), 10) / LANES)
        found["sampling"].append(seconds_of(lambda: sample(minibatch), 5) / len(drawn))
    microseconds = {name: 1e6 * statistics.median(values) for name, values in found.items()}
    print(
        f"frames a second at {LANES} lanes: {1e6 / microseconds['acting']:,.0f}; window renderer {1e6 / microseconds['window']:,.0f}:"
        f" {microseconds['window'] / microseconds['acting']:.0f}x (goal 50x); sampling {microseconds['sampling']:.1f} us a patch (goal 15)",
        flush=True,
    )
    return microseconds


def bench_whole_frames() -> dict[str, dict[str, float]]:
    """The same for environments that are drawn whole, at 64 lanes: microseconds a frame."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    rng = np.random.default_rng(0)
    found = {}
    for env_id, most in WHOLE_FRAMES.items():
        env = gymnasium.make(env_id, render_mode="rgb_array")
        env.reset(seed=0)
        states = rng.uniform([low for low, _ in most], [high for _, high in most], (LANES, len(most)))
        render = frame_renderer(env_id, WHOLE)
        drawn = render.drawn(torch.from_numpy(states))

        def window_frame(state: np.ndarray, env: gymnasium.Env = env) -> np.ndarray:
            env.unwrapped.state = state  # type: ignore[attr-defined]
            whole = Image.fromarray(np.asarray(env.render()))
            return np.asarray(whole.resize((90, 40), Image.Resampling.BICUBIC)).transpose(2, 0, 1).astype(np.float32)

        render(drawn), window_frame(states[0])
        window, tensors = [], []
        for _ in range(ROUNDS):
            window.append(statistics.mean(seconds_of(lambda s=s: window_frame(s), 1) for s in states[:20]))  # type: ignore[misc]
            tensors.append(seconds_of(functools.partial(render, drawn), 10) / LANES)
        one = {"window": 1e6 * statistics.median(window), "acting": 1e6 * statistics.median(tensors)}
        found[env_id] = one
        print(
            f"{env_id} at {LANES} lanes: {one['acting']:.1f} us a frame; window renderer {one['window']:.0f} us:"
            f" {one['window'] / one['acting']:.0f}x (goal 50x)",
            flush=True,
        )
    return found


class PlainUpdate:
    """The tutorial's update with stored frames."""

    def __init__(self, network: Conv, shape: tuple[int, int, int], batch_size: int) -> None:
        self.online, self.target = (network.module(obs_shape=shape, num_actions=2) for _ in range(2))
        self.target.eval()
        self.optimizer = torch.optim.RMSprop(self.online.parameters())
        self.batch_size = batch_size
        self.memory: collections.deque[tuple[Tensor, ...]] = collections.deque(maxlen=1000)
        for _ in range(1000):
            pair = torch.rand(2, 1, *shape)
            self.memory.append((pair[0], pair[1], torch.randint(0, 2, (1, 1)), torch.ones(1)))

    def __call__(self) -> None:
        before, after, action, reward = (
            torch.cat(each) for each in zip(*random.sample(self.memory, self.batch_size), strict=True)
        )
        taken = self.online(before).gather(1, action)[:, 0]
        with torch.no_grad():
            goal = reward + 0.999 * self.target(after).amax(1)
        loss = nn.functional.smooth_l1_loss(taken, goal)
        self.optimizer.zero_grad()
        loss.backward()
        for p in self.online.parameters():
            assert p.grad is not None
            p.grad.clamp_(-1, 1)
        self.optimizer.step()


def bench_updates() -> dict[str, float]:
    """Updates a second of one core: lanes of the recipe, rendering included, and the plain loop; in turn, medians."""
    run = resolve(["recipe=pytorch_pixel_448"]).planned[0].run
    network, (channels, rows, columns) = run.variant.network, observed(run).shape
    assert isinstance(network, Conv)
    trainer = Trainer([Lane(run, initial_state(run))])
    trainer.advance(run.variant.replay.warmup + 2)
    plain = PlainUpdate(network, (channels, rows, columns), run.variant.batch_size)
    stored = trainer.state["replay.float32"][:, : run.variant.replay.warmup]

    places = torch.arange(stored.shape[1])[None]

    def lane_update() -> None:
        trainer.blocks[0].update(0, places)

    with torch.no_grad():
        lane_update()
    plain()
    found: dict[str, list[float]] = {"plain": [], "lane": []}
    for _ in range(ROUNDS):
        found["plain"].append(seconds_of(plain, UPDATES))
        with torch.no_grad():
            found["lane"].append(seconds_of(lane_update, UPDATES))
    milliseconds = {name: 1e3 * statistics.median(values) for name, values in found.items()}
    gflops = best_gflops()
    # Two forward passes, and a backward pass of twice the work but for the first layer's input.
    multiplications = network.multiplications((channels, rows, columns), 2)
    first = network.channels[0] * channels * network.kernels[0] ** 2 * 18 * 38
    roof = 2 * run.variant.batch_size * (4 * multiplications - first) / gflops / 1e6
    size = stored_columns(run).bytes
    print(
        f"pixel updates a second (128 x 3x40x80): lane {1e3 / milliseconds['lane']:.1f}, plain {1e3 / milliseconds['plain']:.1f}:"
        f" {milliseconds['plain'] / milliseconds['lane']:.2f}x (goal 1.7x); {100 * roof / milliseconds['lane']:.0f} % of the roof of"
        f" {gflops:.0f} GFLOP/s; a stored transition has {size} bytes (goal 64)",
        flush=True,
    )
    return {**milliseconds, "roof": roof, "gflops": gflops, "bytes_per_transition": size}


def bench_pixels() -> dict[str, object]:
    """Everything about pixels."""
    return {
        "renderer_microseconds": bench_renderer(),
        "whole_frame_microseconds": bench_whole_frames(),
        "update_milliseconds": bench_updates(),
    }
