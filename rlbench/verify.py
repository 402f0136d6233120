"""`python -m rlbench.verify`: are the stored results what training gives?

First every finished run is checked against its own digest (rows and weights as stored), and no two seeds of a cell may share a curve or
weights; then one run, random or asked for, is trained again alone, and its digest compared with the stored one. Runs of own choices whose
code has changed are named and not trained. `choice=module:Class` checks a class of one's own in place of a store: whether lanes with it
have the same bits alone, among others, cut, moved, eager and compiled, and whether every operation is exact. Only reads.
"""

import random
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rlbench.config.arguments import parse_arguments, run_command
from rlbench.errors import EXIT_DIFFERENCE, EXIT_OK, ConfigError, check_choice

if TYPE_CHECKING:
    from rlbench.store import Results, Store

PROG = "python -m rlbench.verify"
DOC = """Check stored results: every run's rows and weights against its digest, no two seeds alike, then one run trained again, alone.

  run      the run to train again; default: one at random
  store    the folder of results
  choice   module:Class, in place of a store: whether a choice of your own gives the same bits in any company and on any CPU"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv` (default: the process's own words) and return its exit code."""
    return run_command(PROG, lambda: _verify(sys.argv[1:] if argv is None else argv))


def _verify(argv: Sequence[str]) -> int:
    arguments = parse_arguments(argv, {"run": None, "store": "results", "choice": None}, prog=PROG, doc=DOC)
    if "choice" in arguments:
        return _verify_choice(arguments["choice"])
    from rlbench.config.changed_code import changed_code, changed_lines
    from rlbench.store import Results, Store, passes_audit
    from rlbench.store.records import FINAL_STATUSES

    store = Store.open(arguments["store"], create=False)
    outcomes = {run_id: row for run_id, row in store.outcomes().items() if row["status"] in FINAL_STATUSES}
    chosen = arguments.get("run")
    if chosen is not None:
        check_choice("run", chosen, list(outcomes))
    elif not outcomes and not store.damage.lines:
        raise ConfigError(f"no finished run in {store.address} yet")
    results = Results(store)
    if not is_as_written(store, results, outcomes):
        return EXIT_DIFFERENCE
    print(
        f"{len(outcomes)} finished runs: specifications give the ids; rows, weights and outcomes give the stored digests"
    )
    if not passes_audit(results):
        return EXIT_DIFFERENCE
    changed = changed_code(store.specs(outcomes if chosen is None else [chosen]))
    for line in changed_lines(changed):
        print(f"not trained again: {line}")
    trainable = sorted(set(outcomes) - set(changed)) if chosen is None else [chosen]
    if not trainable or chosen in changed:
        return EXIT_OK
    return _train_again(store, random.choice(trainable), outcomes)


def _verify_choice(name: str) -> int:
    """Whether a class of one's own is exact; what broke it in one line."""
    from rlbench.config.own_choices import group_of
    from rlbench.lanes.choices.registry import every_variant
    from rlbench.lanes.exactness import what_breaks
    from rlbench.lanes.fast.compiling import can_compile, prepare_process

    group, cls = group_of(name)
    prepare_process()
    count = 0
    for settings, variant in every_variant({group: [cls]}):
        try:
            broken = what_breaks(variant)
        except ConfigError as error:
            broken = str(error)
        if broken is not None:
            print(f"{settings}: not exact: {broken}")
            return EXIT_DIFFERENCE
        count += 1
    how = "eager and compiled" if can_compile() else "eager (nothing is compiled here)"
    print(f"{group}={name}: exact alone, among others, cut and moved, {how}; {count} settings")
    return EXIT_OK


def is_as_written(store: "Store", results: "Results", outcomes: dict[str, dict[str, Any]]) -> bool:
    """Whether all that is stored gives its checksums and digests; prints a line for each thing that does not."""
    from rlbench.config import run_id_of
    from rlbench.store.checking import check_files, without_checksums

    unknown = set(store.unknown(outcomes))
    specs = store.specs(run_id for run_id in outcomes if run_id not in unknown)
    altered = [
        f"run {run_id}: its stored specification does not give its id: it was altered"
        for run_id, spec in specs.items()
        if run_id_of(spec) != run_id
    ]
    check_files(store, read_later=outcomes)
    _check_studies(store)
    altered += _without_digest(results, outcomes)
    for line in dict.fromkeys([*store.damage.lines, *altered]):
        print(line)
    store.damage.untold()  # they are among these
    old = without_checksums(store, outcomes)
    if old:
        print(f"{old}: what they hold of rows and weights is covered by the runs' digests, labels by nothing")
    return not (altered or store.damage.lines)


def _check_studies(store: "Store") -> None:
    from rlbench.config.yaml_files import check_checksum
    from rlbench.errors import StoreError
    from rlbench.reports.study import read_study
    from rlbench.store.files import reading

    studies = store.root / "studies"
    for path in sorted([*studies.glob("*.json"), *studies.glob("*.yaml")]):
        try:
            if path.suffix == ".yaml":
                with reading(path):
                    check_checksum(path)
            else:
                read_study(store.root, path.stem)
        except StoreError as error:
            store.damage.note_error(error)


def _without_digest(results: "Results", outcomes: dict[str, dict[str, Any]]) -> list[str]:
    """A line for each run that does not give its digest; one for all of them where rows are lost. Damaged weights have their own."""
    found = results.stored_digests(outcomes)
    wrong = [run_id for run_id, digest in found.items() if digest not in (outcomes[run_id]["digest"], None)]
    if wrong and results.store.damage.lost_rows:
        return [f"{len(wrong)} runs do not give their digests without these rows: {', '.join(wrong[:5])} ..."]
    lines = []
    for run_id in wrong:
        is_there = results.weights_path(run_id).exists()
        missing = "" if is_there else f" ({results.store.weights_at(run_id)} is not there)"
        lines.append(
            f"run {run_id}: its stored rows, weights or outcome do not give its digest: they were altered{missing}"
        )
    return lines


def _train_again(store: Any, run_id: str, outcomes: dict[str, dict[str, Any]]) -> int:
    from rlbench.config import run_of
    from rlbench.lanes.fast.compiling import prepare_process
    from rlbench.lanes.fast.platform import ENGINE, is_of_this_engine, platform_of

    stored = outcomes[run_id]
    if not is_of_this_engine(stored["platform"]):
        print(
            f"run {run_id} was trained by another engine ({stored['platform']}, this is {ENGINE}): its digest is right, and it cannot be"
            " trained again here to the same bits"
        )
        return EXIT_OK
    prepare_process()
    run = run_of(store.spec(run_id))
    if stored["platform"] != platform_of(run):
        print(
            f"run {run_id} was trained on platform {stored['platform']}, this is {platform_of(run)}: bits are not comparable"
        )
        return EXIT_OK
    print(f"training {run_id} again, alone: seed {run.seed} on {run.env.id} ...", flush=True)
    digest = digest_alone(run, stored["env_steps"] if stored["status"] == "pruned" else None)
    if digest != stored["digest"]:
        print(f"run {run_id}: trained alone it gives another digest: {digest[:16]}, stored {stored['digest'][:16]}")
        return EXIT_DIFFERENCE
    print(f"run {run_id}: the same digest {digest[:16]}")
    return EXIT_OK


def digest_alone(run: Any, pruned_at: int | None = None) -> str:
    """The digest of a run trained as the only lane of a program, to its end or to the step at which a study pruned it."""
    from rlbench.lanes.training.lane import Lane
    from rlbench.lanes.training.lane_state import final_weights, initial_state
    from rlbench.lanes.training.trainer import Trainer
    from rlbench.runner.journal import advance_digest, end_of
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
