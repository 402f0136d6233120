"""Our safetensors files are read by the library, equal content gives equal bytes, and others may read them."""

import stat
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from rlbench.errors import StoreError
from rlbench.store.conditional import FolderStore
from rlbench.store.tensors import data_bytes, read_metadata, write_tensors

TENSORS = {
    "flags": torch.tensor([True, False, True]),
    "wide": torch.arange(6, dtype=torch.float64).reshape(2, 3),
    "bytes": torch.arange(5, dtype=torch.uint8),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "empty": torch.zeros(3, 0),
    "scalar": torch.tensor(7, dtype=torch.int64),
    "strided": torch.arange(6.0).reshape(2, 3).T,
    "trained": torch.ones(2, requires_grad=True),
}


def test_the_library_reads_what_was_written(tmp_path: Path) -> None:
    write_tensors(FolderStore(tmp_path), "x", TENSORS, {"spec": '{"a": "ü"}', "b": ""})
    loaded = load_file(tmp_path / "x")
    assert loaded.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert loaded[name].dtype == tensor.dtype
        assert loaded[name].shape == tensor.shape
        assert torch.equal(loaded[name], tensor)
    with safe_open(tmp_path / "x", framework="pt") as file:
        assert file.metadata() == read_metadata(FolderStore(tmp_path), "x") == {"spec": '{"a": "ü"}', "b": ""}


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    write_tensors(FolderStore(tmp_path), "x", TENSORS, {"a": "1", "b": "2"})
    write_tensors(FolderStore(tmp_path), "y", dict(reversed(TENSORS.items())), {"b": "2", "a": "1"})
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_files_can_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    write_tensors(FolderStore(tmp_path), "x", TENSORS, {})
    (tmp_path / "plain").touch()
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_the_data_leave_the_metadata_out(tmp_path: Path) -> None:
    write_tensors(FolderStore(tmp_path), "x", {"w": torch.ones(3)}, {"spec": "one"})
    write_tensors(FolderStore(tmp_path), "y", {"w": torch.ones(3)}, {"spec": "another one"})
    assert data_bytes(tmp_path / "x") == data_bytes(tmp_path / "y") == torch.ones(3).numpy().tobytes()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\xff" * 9, b"\x02\0\0\0\0\0\0\0{]"])
def test_damaged_files_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(StoreError, match="x is damaged"):
        read_metadata(FolderStore(tmp_path), "x")


def test_no_file_is_no_metadata(tmp_path: Path) -> None:
    assert read_metadata(FolderStore(tmp_path), "x") is None
