"""Watching runs: what is written, that it shows what it says, and that bad input writes nothing."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import rlbench
from rlbench import play
from rlbench.config import run_of
from rlbench.playing.choosing import load_policy
from rlbench.playing.drawing import draw_moment, limits
from rlbench.playing.episodes import Moment, Stage
from rlbench.playing.films import GIF_FPS, Gif
from rlbench.playing.sheets import draw_sheet
from rlbench.reports import write_report
from rlbench.store import load

imageio = pytest.importorskip("imageio.v2")
pytest.importorskip("imageio_ffmpeg")


@pytest.fixture
def store(trained: Path, tmp_path: Path) -> Path:
    """A copy to write to."""
    return Path(shutil.copytree(trained, tmp_path / "store"))


def watch(capsys: pytest.CaptureFixture[str], store: Path, *words: str) -> tuple[int, str, str]:
    code = play.main([f"store={store}", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def run_ids(store: Path, experiment: str = "small") -> list[str]:
    return list(load(store).experiment(experiment).runs["run_id"])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the reader leaves its pipes open
def test_a_film_is_an_mp4_and_a_gif_of_all_steps(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = run_ids(store)[0]
    code, out, err = watch(capsys, store, f"run={run_id}", "episodes=2", "steps=15")
    assert code == 0, err
    mp4, gif = store / "play" / f"{run_id}.mp4", store / "play" / f"{run_id}.gif"
    assert out.splitlines()[1:] == [str(mp4), str(gif)]
    results = load(store)
    run_ = run_of(results.specs([run_id])[run_id])
    moments = list(Stage(run_).play(load_policy(results, run_, run_id), 2, 15))
    with imageio.get_reader(mp4) as reader:
        frames = [np.asarray(frame) for frame in reader]
    assert len(frames) == len(moments) > 18
    assert len({frame.shape for frame in frames}) == 1
    assert all(side % 2 == 0 for side in frames[0].shape[:2])
    axis = limits(np.stack([moment.q_values for moment in moments]))
    drawn = np.asarray(draw_moment(moments[0], moments[:1], axis, "soft_huber, seed 0"))
    assert np.abs(drawn.astype(int) - frames[0].astype(int)).mean() < 4  # lossy, and nothing else
    assert np.abs(frames[0].astype(int) - frames[-1].astype(int)).mean() > 0.1
    assert len(imageio.mimread(gif, memtest=False)) == len(moments[::2])
    assert {path.name for path in (store / "play").iterdir()} == {mp4.name, gif.name}


def test_the_episodes_are_greedy_and_of_seeds_of_their_own(trained: Path) -> None:
    """Stepped again by hand: the action is the largest Q-value of the stored weights, the return the sum of rewards."""
    run_id = run_ids(trained)[1]
    results = load(trained)
    run_ = run_of(results.specs([run_id])[run_id])
    policy = load_policy(results, run_, run_id)
    moments = list(Stage(run_).play(policy, 2, 12))
    assert {moment.episode for moment in moments} == {0, 1}
    weights = results.weights(run_id)
    for moment in moments:
        x = torch.from_numpy(moment.obs)
        for layer in ("0", "2"):
            x = torch.relu(weights[f"{layer}.weight"] @ x + weights[f"{layer}.bias"])
        q_values = weights["4.weight"] @ x + weights["4.bias"]
        assert moment.q_values.tolist() == pytest.approx(q_values.tolist(), abs=1e-5)
        assert moment.action == int(np.argmax(moment.q_values))
        assert moment.episode_return == moment.step
        assert moment.frame.shape == (300, 450, 3)
    firsts = [moment.obs.tolist() for moment in moments if moment.step == 0]
    assert firsts[0] != firsts[1]


@pytest.mark.parametrize("num_actions", [1, 10, 18, 40])
def test_any_number_of_actions_fits(num_actions: int) -> None:
    q_values = np.linspace(-1.0, 1.0, num_actions)
    moment = Moment(0, 0, np.full((300, 200, 3), 9, np.uint8), np.zeros(4, np.float32), q_values, num_actions - 1, 0.0)
    picture = np.asarray(draw_moment(moment, [moment], limits(q_values), "many"))
    assert (picture[70:210] == (0, 114, 178)).all(2).any()  # the chosen one is among the bars


@pytest.mark.parametrize("fps", [15, 30, 50])
def test_a_gif_has_at_most_so_many_frames_a_second(fps: int, tmp_path: Path) -> None:
    gif = Gif(fps)
    for shade in range(60):
        gif.add(Image.fromarray(np.full((30, 48, 3), 4 * shade, np.uint8)))
    gif.write(tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as written:
        assert 1000 / written.info["duration"] <= GIF_FPS
        assert written.n_frames * written.info["duration"] == pytest.approx(60_000 / fps, rel=0.1)


def test_which_ranks_by_final_return(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = load(store).experiment("small").runs.sort_values("final_return", ascending=False)
    for which, expected in zip(("best", "median", "worst"), runs["run_id"], strict=True):
        code, out, err = watch(
            capsys, store, f"which={which}", "experiment=small", "variant=soft_huber", "episodes=1", "steps=2"
        )
        assert code == 0, err
        assert expected in out
        assert (store / "play" / f"{expected}.gif").exists()


def test_frames_writes_a_sheet_of_what_the_network_sees(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = run_ids(store)[0]
    code, out, err = watch(capsys, store, f"run={run_id}", "frames=4", f"out={tmp_path / 'sheets'}")
    assert code == 0, err
    (sheet,) = (tmp_path / "sheets").iterdir()
    assert out.splitlines()[-1] == str(sheet)
    picture = np.asarray(imageio.imread(sheet))
    assert sheet.name == f"{run_id}_frames.png"
    assert picture.shape[1] > 4 * 190
    assert not (store / "play").exists()


def test_a_sheet_shows_the_values_of_the_observation() -> None:
    """A longer bar for a larger value, to the other side for a negative one."""

    def moment(value: float) -> Moment:
        frame = np.full((40, 60, 3), 200, np.uint8)
        return Moment(0, 0, frame, np.array([value, 1.0], np.float32), np.array([0.0, 1.0]), 1, 0.0)

    def bar(value: float) -> tuple[int, int]:
        picture = np.asarray(draw_sheet([moment(value), moment(-2.0)], "seen"))
        row = picture[40 + 158 + 6, 16:206]
        blue = np.flatnonzero((row == (0, 114, 178)).all(1))
        return int(blue.min()), int(blue.max())

    middle = 86
    assert bar(2.0)[1] - middle == pytest.approx(42, abs=1)
    assert bar(1.0)[1] - middle == pytest.approx(21, abs=1)
    assert middle - bar(-1.0)[0] == pytest.approx(21, abs=1)


def test_the_report_links_what_there_is(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = store / "reports" / "small"
    page = write_report(load(store), "small", out)
    assert "Films" not in page.read_text()
    run_id = run_ids(store)[2]
    assert watch(capsys, store, f"run={run_id}", "episodes=1", "steps=2")[0] == 0
    page = write_report(load(store), "small", out)
    assert f'<a href="../../play/{run_id}.gif">' in page.read_text()
    assert f"(../../play/{run_id}.mp4)" in (out / "report.md").read_text()
    assert (out / "../../play" / f"{run_id}.gif").resolve().exists()
    elsewhere = write_report(load(store), "small", tmp_path / "elsewhere").read_text()
    assert "play/" not in elsewhere
    assert f"{run_id}.gif" in elsewhere
    assert "Films" not in write_report(load(store), "floor", store / "reports" / "floor").read_text()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def shrink(path: Path) -> None:
    weights = safetensors.torch.load_file(path)
    safetensors.torch.save_file({**weights, "0.weight": weights["0.weight"][:7].clone()}, path)


def exchange(path: Path) -> None:
    other = next(one for one in path.parent.iterdir() if one.name != path.name)
    shutil.copy(other, path)


DAMAGE = {
    "truncated": (truncate, "is damaged: "),
    "text": (lambda path: path.write_text("weights"), "is damaged: "),
    "of another network": (shrink, "holds the weights of another network: "),
    "of another run": (exchange, "were altered: they do not give the digest of run"),
    "lost": (lambda path: path.unlink(), "is not there"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_weights_are_refused(store: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = run_ids(store)[0]
    path = store / "weights" / f"{run_id}.safetensors"
    path.chmod(0o644)
    spoil, message = DAMAGE[damage]
    spoil(path)
    assert_refused(capsys, store, [f"run={run_id}"], message, expected=1)


def assert_refused(
    capsys: pytest.CaptureFixture[str], store: Path, words: list[str], message: str, expected: int = 2
) -> None:
    code, out, err = watch(capsys, store, *words)
    assert (code, out) == (expected, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not (store / "play").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run=0123"], "unknown run '0123'"),
        ([], "say what to watch: run=ID, or which=best|median|worst variant=NAME"),
        (["which=bets"], "unknown which 'bets'; did you mean 'best'?"),
        (["which=best"], "2 experiments in"),
        (["which=best", "experiment=small", "variant=soft_hubber"], "unknown variant 'soft_hubber'; did you mean"),
        (
            ["which=best", "experiment=small", "env=CartPole-v9"],
            "unknown env 'CartPole-v9'; did you mean 'CartPole-v1'",
        ),
        (["which=best", "experiment=floor"], "has no network, its actions are random"),
        (["which=best", "experiment=small", "episodes=0"], "episodes must be a whole number from 1 to 100; got 0"),
        (["which=best", "experiment=small", "frames=many"], "frames must be a whole number from 1 to 64; got many"),
        (["run=0123", "variant=soft_huber"], "run= says which run; variant= beside it has no effect"),
        (
            ["which=best", "experiment=small", "frames=8", "episodes=3"],
            "frames= shows one episode; episodes= beside it",
        ),
        (["which=best", "experiment=small", "episodes=50", "steps=1000"], "is too long; at most 10000 steps in all"),
        (["frame=8"], "unknown key 'frame'; did you mean 'frames'?"),
    ],
)
def test_bad_input_is_one_line(
    trained: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(capsys, trained, words, message)


def test_a_store_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = watch(capsys, tmp_path / "nowhere", "run=0123")
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "nowhere").exists()


def test_without_the_extra_it_says_what_to_install(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(play, "PACKAGES", {"no_such_encoder": "imageio-ffmpeg"})
    assert_refused(capsys, trained, ["which=best"], "imageio-ffmpeg not installed: pip install 'rlbench[play]'")


def test_help_names_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert play.main(["--help"]) == 0
    said = capsys.readouterr().out
    for name in ("run", "which", "variant", "env", "experiment", "store", "out", "episodes", "steps", "frames"):
        assert f"\n  {name}" in said
    assert rlbench.__name__ in said
