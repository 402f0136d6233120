"""The bootstrap's speed: 50 000 stratified resamples of four aggregates of 30 runs x 8 environments, on one core."""

import statistics
import time

import numpy as np

from rlbench.stats import bootstrap_intervals

RESAMPLES = 50_000
AGGREGATES = ("iqm", "median", "mean", "optimality_gap")
REPEATS = 5


def bench_statistics() -> dict[str, float]:
    """Time the intervals of all four aggregates over shared resamples, and of one of them; seconds of CPU time, median of five."""
    scores = np.random.default_rng(0).normal(0.5, 0.4, size=(30, 8))
    figures = {}
    for label, names in (("four aggregates", AGGREGATES), ("the IQM alone", AGGREGATES[:1])):
        seconds = []
        for _ in range(REPEATS):
            begin = time.process_time()
            bootstrap_intervals(scores, names, resamples=RESAMPLES)
            seconds.append(time.process_time() - begin)
        figures[label] = statistics.median(seconds)
        print(
            f"bootstrap, {RESAMPLES} resamples of 30 x 8 scores, {label}: {figures[label]:.2f} s on one core",
            flush=True,
        )
    return figures


if __name__ == "__main__":
    bench_statistics()
