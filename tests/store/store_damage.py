"""How the tests of the store damage files, and see what a store says of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlbench.errors import StoreError
from rlbench.store import audit, load
from rlbench.store.schema import ROW_ORDER

ROWS = tuple(ROW_ORDER)


def shown(path: Path) -> tuple[dict[str, str], list[str]]:
    """Every number that a store shows, and everything that it says about damage while it shows them."""
    try:
        results = load(path)
        numbers = {table: getattr(results, table).to_csv() for table in ("runs", *ROWS)}
        numbers["experiments"] = json.dumps(results.experiments)
        numbers["specs"] = json.dumps(results.specs())
        for run_id in results.runs["run_id"]:
            try:
                weights = results.weights(run_id)
                numbers[run_id] = str({name: values.tolist() for name, values in sorted(weights.items())})
            except StoreError as error:
                results.store.damage.note_error(error)
        return numbers, [line for line in audit(results) if line in results.store.damage.lines]
    except StoreError as error:
        return {}, [str(error)]


@contextmanager
def changed(path: Path, content: bytes) -> Iterator[None]:
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def flipped(path: Path, bit: int) -> bytes:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    return bytes(content)


def parts_of(path: Path) -> list[Path]:
    return sorted((path / "tables").rglob("*.parquet"))


def one_line(lines: list[str]) -> None:
    assert all(line and "\n" not in line for line in lines)
