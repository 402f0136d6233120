"""Files as other libraries write them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

HEADER = "variant,environment,seed,step,return\n"
Rows = Sequence[tuple[object, ...]]


def write_csv(path: Path, rows: Rows, header: str = HEADER) -> Path:
    path.write_text(header + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


def curves(
    variants: Mapping[str, float],
    seeds: int = 10,
    steps: Sequence[int] = (100, 200, 300, 400, 500),
    env: str = "CartPole-v1",
) -> list[tuple[object, ...]]:
    """Evaluation returns that differ from run to run and point to point; a variant's number is added to them."""
    return [
        (variant, env, seed, step, round(step / 10 + plus + (seed * 7 + number * 3) % 11 + seed / 16, 4))
        for variant, plus in variants.items()
        for seed in range(seeds)
        for number, step in enumerate(steps)
    ]


def write_monitor(
    path: Path, episodes: Sequence[tuple[float, int, float]], env: str | None = "CartPole-v1", start: float = 0.0
) -> Path:
    """A monitor file as Stable-Baselines3 writes it: return, length, seconds since the start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["#" + json.dumps({"t_start": start, "env_id": env}), "r,l,t", *(f"{r},{n},{t}" for r, n, t in episodes)]
    path.write_text("\n".join(lines) + "\n")
    return path
