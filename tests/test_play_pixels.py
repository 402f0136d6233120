"""Watching runs that learn from pixels: greedy on what the network saw in training, with the patches on the sheet."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from rlbench import play
from rlbench.config import resolve, run_of
from rlbench.lanes.choices.observations import Pixel
from rlbench.playing.choosing import load_policy, plain_module
from rlbench.playing.episodes import Stage
from rlbench.playing.sheets import draw_sheet, named_patches
from rlbench.store import load
from tests.runner.commands import run

imageio = pytest.importorskip("imageio.v2")
pytest.importorskip("imageio_ffmpeg")

TINY = (
    "variant=hard_huber_small_pixel", "seeds=1", "steps=60", "replay.warmup=30", "replay.capacity=40", "batch_size=8", "evaluation.period=60",
    "evaluation.episodes=1", "diagnostics.period=60", "workers=1",
)  # fmt: skip
RENDERERS = ("tensors", "gymnasium")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("pixels") / "store"
    for renderer in RENDERERS:
        code, _, err = run(store, *TINY, f"observation.renderer={renderer}", f"name={renderer}")
        assert code == 0, err
    return store


def stage_of(store: Path, renderer: str) -> tuple[Stage, torch.nn.Module]:
    results = load(store)
    run_id = results.experiment(renderer).runs["run_id"].iloc[0]
    own = run_of(results.specs([run_id])[run_id])
    return Stage(own), load_policy(results, own, run_id)


@pytest.mark.parametrize("renderer", RENDERERS)
def test_episodes_are_greedy_on_the_networks_own_pixels(trained: Path, renderer: str) -> None:
    stage, policy = stage_of(trained, renderer)
    moments = list(stage.play(policy, 2, 6))
    assert [moment.step for moment in moments] == 2 * list(range(7))
    for before, moment in itertools.pairwise(moments):
        with torch.no_grad():
            q_values = policy(torch.from_numpy(moment.obs)[None])[0]
        assert moment.obs.shape == (2, 20, 22)
        assert moment.q_values.tolist() == pytest.approx(q_values.tolist(), abs=1e-6)
        assert moment.action == int(np.argmax(moment.q_values))
        now, change = moment.obs
        last = before.obs[0] if moment.step else now
        np.testing.assert_allclose(change, now - last, atol=1e-6)
    assert np.abs(moments[6].obs[1]).max() > 0.05


def test_both_renderers_show_the_same(trained: Path) -> None:
    """The same policy from the same reset: the pictures agree as closely as the renderer is held to."""
    (drawn, policy), (real, _) = (stage_of(trained, renderer) for renderer in RENDERERS)
    own, other = (list(stage.play(policy, 1, 4)) for stage in (drawn, real))
    for one, two in zip(own, other, strict=True):
        assert np.abs(one.obs[0] - two.obs[0]).mean() < 0.02 * (1 - two.obs[0]).mean() + 1e-3
        assert one.action == two.action


@pytest.mark.parametrize("env", ["MountainCar-v0", "Acrobot-v1"])
def test_drawn_environments_show_what_gymnasium_shows(env: str) -> None:
    """Untrained: the state of Gymnasium's environment is drawn, and looks as its own frame does."""
    whole = ("observation.follow=false", "observation.top=0", "observation.bottom=1", "observation.width=1")
    seen = []
    for renderer in RENDERERS:
        words = ["variant=hard_huber_small_pixel", f"env.id={env}", f"observation.renderer={renderer}", *whole]
        own = resolve(words).planned[0].run
        torch.manual_seed(0)
        seen.append([moment.obs[0] for moment in Stage(own).play(plain_module(own).eval(), 1, 5)])
    drawn, real = (np.stack(patches) for patches in seen)
    # Of the negatives, whose background is black.
    assert np.abs(drawn - real).mean() < 0.05 * real.mean()


def test_patches_have_names_and_middle_grey_is_no_change() -> None:
    obs = np.zeros((2, 1, 3), np.float32)
    obs[0], obs[1, 0] = 1.0, (-1.0, 0.0, 1.0)
    (now, first), (change, second) = named_patches(obs, Pixel(rows=1, columns=3, colour="grey", combine="both"))
    assert (now, change) == ("now", "now - before")
    assert first.tolist() == [[[255] * 3] * 3]
    assert second[0, :, 0].tolist() == [1, 128, 255]
    stacked = named_patches(np.zeros((9, 2, 2), np.float32), Pixel(rows=2, columns=2, combine="stack", frames=3))
    assert [name for name, _ in stacked] == ["-2 steps", "-1 steps", "now"]


def test_a_film_and_a_sheet_of_patches(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"store={trained}", "which=best", "experiment=tensors", f"out={tmp_path}"]
    assert play.main([*words, "episodes=1", "steps=3"]) == 0
    assert play.main([*words, "frames=3"]) == 0
    said = capsys.readouterr().out
    assert {path.suffix for path in tmp_path.iterdir()} == {".mp4", ".gif", ".png"}
    (sheet,) = tmp_path.glob("*_frames.png")
    assert str(sheet) in said
    picture = np.asarray(imageio.imread(sheet))
    stage, policy = stage_of(trained, "tensors")
    moments = list(stage.play(policy, 1, 500))
    chosen = [moments[round(place * (len(moments) - 1) / 2)] for place in range(3)]
    (_, patch), _ = named_patches(chosen[2].obs, stage.eyes.seen.pixel or Pixel())
    # The third column, below frame and text: each pixel of the patch as a square of 9.
    wide = draw_sheet(chosen[:1], "", stage.eyes.seen.pixel).width - 32 + 16
    left, top = 16 + 2 * wide, 40 + 158 + 14
    np.testing.assert_array_equal(picture[top + 4 : top + 180 : 9, left + 4 : left + 198 : 9], patch)
