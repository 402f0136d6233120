"""`python -m rlbench.verify`: are the stored results what training gives?

First every finished run is checked against its own digest (rows and weights as stored), and no two seeds of a cell may share a curve or
weights; then one run, random or asked for, is trained again alone, and its digest compared with the stored one. Runs of own choices whose
code has changed are named and not trained. Only reads.
"""

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlbench.config.arguments import check_choice, parse_arguments, run_command
from rlbench.errors import EXIT_DIFFERENCE, EXIT_OK, ConfigError

PROG = "python -m rlbench.verify"
DOC = """Check stored results: every run's rows and weights against its digest, no two seeds alike, then one run trained again, alone.

  run      the run to train again; default: one at random
  store    the folder of results"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv` (default: the process's own words) and return its exit code."""
    return run_command(PROG, lambda: _verify(sys.argv[1:] if argv is None else argv))


def _verify(argv: Sequence[str]) -> int:
    arguments = parse_arguments(argv, {"run": None, "store": "results"}, prog=PROG, doc=DOC)
    from rlbench.config import run_id_of
    from rlbench.config.changed_code import changed_code, changed_lines
    from rlbench.store import Store, load, passes_audit
    from rlbench.store.records import FINAL_STATUSES

    root = Path(arguments["store"])
    store = Store.open(root, create=False)
    outcomes = {run_id: row for run_id, row in store.outcomes().items() if row["status"] in FINAL_STATUSES}
    if not outcomes:
        raise ConfigError(f"no finished run in {root} yet")
    chosen = arguments.get("run")
    if chosen is not None:
        check_choice("run", chosen, list(outcomes))
    results = load(root)
    specs = store.specs(outcomes)
    altered = [run_id for run_id in outcomes if run_id_of(specs[run_id]) != run_id]
    for run_id in altered:
        print(f"run {run_id}: its stored specification does not give its id: it was altered")
    for run_id, row in outcomes.items():
        if results.stored_digest(run_id) != row["digest"]:
            altered.append(run_id)
            print(f"run {run_id}: its stored rows, weights or outcome do not give its digest: they were altered")
    if altered:
        return EXIT_DIFFERENCE
    print(
        f"{len(outcomes)} finished runs: specifications give the ids; rows, weights and outcomes give the stored digests"
    )
    if not passes_audit(results):
        return EXIT_DIFFERENCE
    changed = changed_code(specs if chosen is None else {chosen: specs[chosen]})
    for line in changed_lines(changed):
        print(f"not trained again: {line}")
    trainable = sorted(set(outcomes) - set(changed)) if chosen is None else [chosen]
    if not trainable or chosen in changed:
        return EXIT_OK
    return _train_again(store, random.choice(trainable), outcomes)


def _train_again(store: Any, run_id: str, outcomes: dict[str, dict[str, Any]]) -> int:
    from rlbench.config import run_of
    from rlbench.lanes.compiling import platform_name, prepare_process

    stored = outcomes[run_id]
    if stored["platform"] != platform_name():
        print(
            f"run {run_id} was trained on platform {stored['platform']}, this is {platform_name()}: bits are not comparable"
        )
        return EXIT_OK
    prepare_process()
    run = run_of(store.spec(run_id))
    print(f"training {run_id} again, alone: seed {run.seed} on {run.env.id} ...", flush=True)
    digest = digest_alone(run, stored["env_steps"] if stored["status"] == "pruned" else None)
    if digest != stored["digest"]:
        print(f"run {run_id}: trained alone it gives another digest: {digest[:16]}, stored {stored['digest'][:16]}")
        return EXIT_DIFFERENCE
    print(f"run {run_id}: the same digest {digest[:16]}")
    return EXIT_OK


def digest_alone(run: Any, pruned_at: int | None = None) -> str:
    """The digest of a run trained as the only lane of a program, to its end or to the step at which a study pruned it."""
    from rlbench.lanes.lane import Lane
    from rlbench.lanes.lane_state import final_weights, initial_state
    from rlbench.lanes.trainer import Trainer
    from rlbench.runner.books import advance_digest, end_of
    from rlbench.store import RowDigest, run_digest

    trainer, digest = Trainer([Lane(run, initial_state(run))]), RowDigest()
    status = None
    while status is None:
        left = 4096 if pruned_at is None else pruned_at - int(trainer.state["env_steps"][0])
        if left == 0:
            status = "pruned"
            break
        events = trainer.advance(min(4096, left))[0]
        advance_digest(digest, events)
        status = events.status
    weights = final_weights(run, trainer.state, 0)
    return run_digest(digest, weights, end_of(trainer.state, 0, status))


if __name__ == "__main__":
    sys.exit(main())
