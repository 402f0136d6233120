"""`python -m rlbench.play`: watch a trained run: a film of greedy episodes with the Q-values, or a sheet of what its network sees.

In: key=value words. Out: STORE/play/RUN.mp4 and RUN.gif, or RUN_frames.png; the report of its experiment links them. Everything is played
before the first file is written. Changes no result.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rlbench.config.arguments import parse_arguments, run_command
from rlbench.errors import EXIT_OK, ConfigError, check_choice

if TYPE_CHECKING:
    from PIL.Image import Image

    from rlbench.lanes.choices.observations import Pixel
    from rlbench.playing.choosing import ChosenRun
    from rlbench.playing.episodes import Moment
    from rlbench.store import Results

PROG = "python -m rlbench.play"
DOC = """Watch a trained run: an MP4 and a GIF of greedy episodes, with the Q-values drawn beside the frame, from environment seeds
that training never used. Needs pip install 'rlbench[play]'.

  run          the run's id (python -m rlbench.results table=runs lists them); or choose one by its final return:
  which        the best, median or worst seed
  variant      of this variant; not needed where there is one
  env          on this Gymnasium id; not needed where there is one
  experiment   of this experiment; not needed where the store has one
  store        the folder of results
  out          the folder to write to; default: STORE/play
  episodes     how many episodes the film shows
  steps        the longest episode shown, in environment steps
  frames       instead of a film, a sheet (PNG) of so many moments of one episode as the network sees them"""
WHICH = ("best", "median", "worst")
PACKAGES = {"imageio": "imageio", "imageio_ffmpeg": "imageio-ffmpeg", "PIL": "pillow"}
MOST_MOMENTS = 10_000  # 0.4 MB of memory each
MOST = {"episodes": 100, "steps": 10_000, "frames": 64}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv` (default: the process's own words) and return its exit code."""
    return run_command(PROG, lambda: _play(sys.argv[1:] if argv is None else argv))


def _play(argv: Sequence[str]) -> int:
    names = ("run", "which", "variant", "env", "experiment")
    allowed: dict[str, str | None] = {**dict.fromkeys(names), "store": "results", "out": None}
    allowed |= {"episodes": "2", "steps": "500", "frames": None}
    words = parse_arguments(argv, allowed, prog=PROG, doc=DOC, choices={"which": WHICH})
    if "frames" in words and any(word.startswith("episodes=") for word in argv):
        raise ConfigError("frames= shows one episode; episodes= beside it has no effect")
    counts = {name: _count(name, words[name]) for name in MOST if name in words}
    if "frames" not in counts and counts["episodes"] * counts["steps"] > MOST_MOMENTS:
        raise ConfigError(
            f"a film of {counts['episodes']} episodes of up to {counts['steps']} steps is too long; at most {MOST_MOMENTS} steps in all"
        )
    missing = [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ConfigError(f"{' and '.join(missing)} not installed: pip install 'rlbench[play]'")
    return _watch(words, counts)


def _watch(words: Mapping[str, str], counts: Mapping[str, int]) -> int:
    """Play what the words mean, and write the film, or the sheet, and say so."""
    from rlbench.config import run_of
    from rlbench.config.changed_code import changed_code, changed_lines
    from rlbench.playing.choosing import load_policy
    from rlbench.playing.episodes import Stage
    from rlbench.store import load

    results = load(words["store"])
    choice = _chosen(results, words)
    spec = results.specs([choice.run_id])
    for line in changed_lines(changed_code(spec)):
        raise ConfigError(line)
    run = run_of(spec[choice.run_id])
    policy, stage = load_policy(results, run, choice.run_id), Stage(run)
    moments = list(stage.play(policy, 1 if "frames" in counts else counts["episodes"], counts["steps"]))
    stage.close()
    title = f"{choice.variant}, seed {choice.seed}"
    out = Path(words["out"]) if "out" in words else results.path / "play"
    if "frames" in counts:
        sheet = out / f"{choice.run_id}_frames.png"
        paths = [_write_sheet(moments, counts["frames"], title, stage.eyes.seen.pixel, sheet)]
    else:
        paths = _write_film(moments, title, stage.fps, out / choice.run_id)
    returns = [list(own)[-1].episode_return for _, own in groupby(moments, lambda one: one.episode)]
    print(f"{title} ({choice.run_id}) on {run.env.id}: greedy returns {', '.join(f'{value:g}' for value in returns)}")
    for path in paths:
        print(path)
    return EXIT_OK


def _count(name: str, word: str) -> int:
    if not word.isdecimal() or len(word) > 30 or not 1 <= int(word) <= MOST[name]:
        raise ConfigError(f"{name} must be a whole number from 1 to {MOST[name]}; got {word}")
    return int(word)


def _chosen(results: Results, words: Mapping[str, str]) -> ChosenRun:
    """The run that the words mean. Raises ConfigError where they mean none, or more than one."""
    from rlbench.playing.choosing import choose_by_return, choose_run

    if "run" in words:
        for name in ("which", "variant", "env", "experiment"):
            if name in words:
                raise ConfigError(f"run= says which run; {name}= beside it has no effect")
        return choose_run(results, words["run"])
    if "which" not in words:
        raise ConfigError(f"say what to watch: run=ID, or which={'|'.join(WHICH)} variant=NAME (see: {PROG} --help)")
    known = list(results.experiments)
    if "experiment" in words:
        check_choice("experiment", words["experiment"], known)
    elif len(known) != 1:
        raise ConfigError(
            f"{len(known)} experiments in {results.address}; choose one with experiment=NAME: {', '.join(known) or 'none'}"
        )
    own = results.experiment(words.get("experiment", known[0]))
    return choose_by_return(own, words["which"], words.get("variant"), words.get("env"))


def _write_film(moments: Sequence[Moment], title: str, fps: int, stem: Path) -> list[Path]:
    import numpy as np

    from rlbench.playing.drawing import draw_moment, limits
    from rlbench.playing.films import Gif, write_mp4

    axis = limits(np.stack([moment.q_values for moment in moments]))
    gif = Gif(fps)

    def pictures() -> Iterator[Image]:
        """One at a time: a film of thousands does not fit the memory."""
        for _, own in groupby(moments, lambda one: one.episode):
            episode = list(own)
            for place, moment in enumerate(episode):
                picture = draw_moment(moment, episode[: place + 1], axis, title)
                gif.add(picture)
                yield picture

    paths = [stem.with_name(f"{stem.name}.mp4"), stem.with_name(f"{stem.name}.gif")]
    write_mp4(pictures(), paths[0], fps)
    gif.write(paths[1])
    return paths


def _write_sheet(moments: Sequence[Moment], count: int, title: str, pixel: Pixel | None, path: Path) -> Path:
    from rlbench.playing.films import write_png
    from rlbench.playing.sheets import draw_sheet

    count = min(count, len(moments))
    chosen = [moments[round(place * (len(moments) - 1) / max(1, count - 1))] for place in range(count)]
    write_png(draw_sheet(chosen, f"{title}: what the network sees", pixel), path)
    return path


if __name__ == "__main__":
    sys.exit(main())
