"""The Python lines of the README do what they say, with fewer seeds and steps."""

import re
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import pytest
import seaborn as sns
import torch

README = (Path(__file__).parents[1] / "README.md").read_text()
# What the README asks for takes minutes; these replace nothing but numbers, and each has to be found.
SMALLER = {
    "seeds=16": "seeds=2",
    "steps=20_000": "steps=400, workers=1, report=False, batch_size=8, replay__warmup=100",
}


def lines() -> str:
    """The one block of Python, smaller."""
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    for text, smaller in SMALLER.items():
        assert text in block
        block = block.replace(text, smaller)
    return block


def test_the_lines_run_and_give_what_their_comments_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen: dict[str, Any] = {}
    shown = []
    for statement in re.split(r"\n(?=\S)(?![\])])", lines().strip()):
        code, is_expression = statement.strip(), "=" not in statement.partition("(")[0] and "import" not in statement
        if is_expression:
            shown.append(eval(code, seen))
        else:
            exec(code, seen)
    table, everything, curves, episodes, network = shown
    assert list(table) == ["seed", "final_return", "auc"]
    assert len(table) == 2
    assert len(everything) == 2
    assert {"variant", "env", "seed", "env_steps", "episode_return"} <= set(curves)
    assert {"variant", "env", "seed", "episode_return"} <= set(episodes)
    assert isinstance(network, torch.nn.Module)


def test_the_line_that_draws_curves_draws_them(monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib.use("Agg")
    (call,) = re.findall(r"`(sns\.relplot\(data=results\.curves.*?\))`", README, re.DOTALL)
    rows = [
        {"variant": variant, "env": env, "seed": seed, "env_steps": steps, "episode_return": float(seed + steps)}
        for variant in ("a", "b")
        for env in ("x", "y")
        for seed in range(2)
        for steps in (100, 200)
    ]

    class Results:
        curves = pd.DataFrame(rows)

    grid = eval(call, {"sns": sns, "results": Results()})
    assert grid.axes.shape == (1, 2)
