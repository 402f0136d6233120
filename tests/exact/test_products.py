"""Products and sums against PyTorch's, and their bits: the same for any company, place, strides, instructions, and without a compiler."""

import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rlbench import exact
from rlbench.exact import building, emulation

ULP = 2.0**-23  # of 1 in float32
# (lanes, rows, depth, columns): edges of every tile, one row, one column, and what networks have.
SHAPES = [(1, 1, 1, 1), (3, 7, 5, 9), (2, 13, 17, 33), (2, 6, 4, 16), (1, 1, 64, 64), (2, 64, 64, 64), (3, 32, 24, 2), (3, 32, 256, 256)]  # fmt: skip


def arguments(shape: tuple[int, int, int, int], seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, weight, bias, and a gradient of the result."""
    lanes, rows, depth, columns = shape
    generator = torch.Generator().manual_seed(seed)
    sizes = (lanes, rows, depth), (lanes, depth, columns), (lanes, 1, columns), (lanes, rows, columns)
    # Uniform numbers are the same on every CPU; PyTorch's normal ones are not.
    x, weight, bias, gradient = (torch.rand(size, generator=generator) * 4 - 2 for size in sizes)
    return x, weight, bias, gradient


def results(x: Tensor, weight: Tensor, bias: Tensor, gradient: Tensor, positive: bool) -> list[Tensor]:
    """The product and its derivatives."""
    leaves = [t.detach().requires_grad_() for t in (x, weight, bias)]
    y = exact.affine(*leaves, positive=positive)
    return [y.detach(), *torch.autograd.grad(y, leaves, gradient)]


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_as_pytorch(shape: tuple[int, int, int, int], positive: bool) -> None:
    x, weight, bias, gradient = arguments(shape)
    leaves = [t.clone().requires_grad_() for t in (x, weight, bias)]
    y = torch.baddbmm(leaves[2], leaves[0], leaves[1])
    y = torch.relu(y) if positive else y
    expected = [y.detach(), *torch.autograd.grad(y, leaves, gradient)]
    for ours, theirs in zip(results(x, weight, bias, gradient, positive), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_element_is_a_chain_of_fused_multiply_adds(shape: tuple[int, int, int, int]) -> None:
    """From the bias, in the order of k; the sum and the product are exact in float64 but for their one rounding."""
    x, weight, bias, _ = arguments(shape)
    total = bias.expand(shape[0], shape[1], shape[3])
    for k in range(shape[2]):
        total = emulation.fused(x[:, :, k : k + 1], weight[:, k : k + 1], total)
    assert torch.equal(exact.affine(x, weight, bias), total)


def test_a_fused_multiply_add_rounds_once() -> None:
    """(1 + u)(1 - u) - 1 = -u**2, and cases in which rounding to float64 first gives another number."""
    u = 2.0**-12
    one = torch.tensor([1 + u]), torch.tensor([1 - u]), torch.tensor([-1.0])
    assert emulation.fused(*one).item() == -(u**2)
    # 1 + 2**-24 lies half way between two float32; a little more has to round up.
    a, b, c = torch.tensor([1.0]), torch.tensor([1.0]), torch.tensor([2.0**-24])
    assert emulation.fused(a, b, c).item() == 1.0
    tiny = torch.tensor([2.0**-40]), torch.tensor([2.0**-40]), torch.tensor([1.0 + 2**-23])
    assert emulation.fused(*tiny).item() == 1.0 + 2**-23
    half = torch.tensor([1 + 2.0**-23]), torch.tensor([2.0**-24 * (1 - 2.0**-24)]), torch.tensor([1.0])
    assert emulation.fused(*half).item() == 1.0 + 2**-23


# By a hair beside the middle of two float32: in float64 the sum is the middle itself, which a second rounding takes to the even number.
@pytest.mark.parametrize(
    ("a", "b", "c", "right", "twice"),
    [
        (1 + ULP, (1 - ULP) * 2.0**-24, 1 + ULP, 1 + ULP, 1 + 2 * ULP),  # below the middle
        (1 + ULP, (ULP - 1) * 2.0**-24, 1 + ULP, 1 + ULP, 1.0),  # above it, by a subtraction
        (8390641 * 2.0**-23, 16773151 * 2.0**-48, 1.0, 1 + ULP, 1.0),  # above it
    ],
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_fused_multiply_add_does_not_round_twice(
    a: float, b: float, c: float, right: float, twice: float, sign: float
) -> None:
    left, factor, addend = (torch.tensor([[[value]]]) for value in (a, sign * b, sign * c))
    assert (left.double() * factor.double() + addend.double()).float().item() == sign * twice
    assert emulation.fused(left, factor, addend).item() == sign * right
    assert exact.affine(left, factor, addend).item() == sign * right


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_lanes_rows_strides_and_places_change_no_bit(shape: tuple[int, int, int, int]) -> None:
    x, weight, bias, gradient = arguments(shape)
    whole = results(x, weight, bias, gradient, True)
    for lane in range(shape[0]):
        own = [t[lane : lane + 1].clone() for t in (x, weight, bias, gradient)]
        for found, expected in zip(results(*own, True), whole, strict=True):
            assert torch.equal(found[0], expected[lane])
    for row in range(shape[1]):
        assert torch.equal(exact.affine(x[:, row : row + 1], weight, bias, positive=True)[:, 0], whole[0][:, row])
    for offset in (1, 3):
        moved = [torch.empty(t.numel() + offset)[offset:].view(t.shape).copy_(t) for t in (x, weight, bias, gradient)]
        turned = [moved[0].mT.contiguous().mT, moved[1].mT.contiguous().mT, moved[2], moved[3].mT.contiguous().mT]
        for arguments_ in (moved, turned):
            for found, expected in zip(results(*arguments_, True), whole, strict=True):
                assert torch.equal(found, expected)


def test_layers_are_affine_layer_by_layer() -> None:
    """Values and all derivatives, to the bit, with and without something to derive."""
    sizes, rows = (5, 17, 33, 2), 9
    generator = torch.Generator().manual_seed(0)
    params = [
        torch.rand(3, *shape, generator=generator) - 0.5
        for i, o in itertools.pairwise(sizes)
        for shape in ((i, o), (1, o))
    ]
    x, gradient = torch.rand(3, rows, 5, generator=generator), torch.rand(3, rows, 2, generator=generator) - 0.5
    found = []
    for apply in (exact.layers, layer_by_layer):
        leaves = [t.clone().requires_grad_() for t in (x, *params)]
        y = apply(leaves[0], leaves[1:])
        found.append([apply(x, params), y.detach(), *torch.autograd.grad(y, leaves, gradient)])
    for ours, expected in zip(*found, strict=True):
        assert torch.equal(ours, expected)
    assert torch.equal(emulation.layers(x, params[::2], params[1::2], False).view(3, rows, 2), found[0][0])
    kept = torch.ops.rlbench.layers(x, params[::2], params[1::2], True)
    assert torch.equal(emulation.layers(x, params[::2], params[1::2], True), kept)
    ours = torch.ops.rlbench.layers_backward(gradient, x, params[::2], kept, True)
    for one, other in zip(ours, emulation.layers_backward(gradient, x, params[::2], kept, True), strict=True):
        assert torch.equal(one, other)


def layer_by_layer(x: Tensor, params: list[Tensor]) -> Tensor:
    for weight, bias in zip(params[:-2:2], params[1:-2:2], strict=True):
        x = exact.affine(x, weight, bias, positive=True)
    return exact.affine(x, params[-2], params[-1])


X, WEIGHT, BIAS = torch.ones(2, 3, 5), torch.ones(2, 5, 4), torch.ones(2, 1, 4)
KEPT = torch.ones(2, 12)


@pytest.mark.parametrize("operators", [torch.ops.rlbench, emulation], ids=["C++", "emulation"])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("affine", (X, torch.ones(2, 50, 4), BIAS, False)),
        ("affine", (X, torch.ones(1, 5, 4), BIAS, False)),
        ("affine", (X, WEIGHT, torch.ones(2, 1, 1), False)),
        ("affine", (X, WEIGHT.double(), BIAS, False)),
        ("affine_backward", (torch.ones(2, 3, 3), X, WEIGHT, torch.ones(2, 3, 4), True, True)),
        ("affine_backward", (torch.ones(2, 3, 4), X, WEIGHT, torch.ones(2, 2, 4), True, True)),
        ("layers", (X, [WEIGHT], [], False)),
        ("layers", (X, [], [], False)),
        ("layers", (X, [torch.ones(2, 50, 4)], [BIAS], False)),
        ("layers", (X, [WEIGHT, WEIGHT], [BIAS, BIAS], False)),
        ("layers", (X, [torch.ones(1, 5, 4)], [BIAS], True)),
        ("layers", (X, [WEIGHT], [torch.ones(2, 1, 1)], False)),
        ("layers", (X, [WEIGHT], [torch.ones(2, 4)], False)),
        ("layers_backward", (torch.ones(2, 3, 3), X, [WEIGHT], KEPT, True)),
        ("layers_backward", (torch.ones(2, 3, 4), X, [WEIGHT], KEPT[:, :8].clone(), True)),
        ("layers_backward", (torch.ones(2, 3, 4), X, [torch.ones(1, 5, 4)], KEPT, True)),
        ("square_sums", ([X, torch.ones(1, 3)],)),
        ("square_sums", ([X.double()],)),
    ],
)  # fmt: skip
def test_tensors_that_do_not_fit_are_refused(operators: Any, name: str, arguments: tuple[Any, ...]) -> None:
    """Before a number is read: there is no memory behind them, or another lane's."""
    building.load()
    with pytest.raises(RuntimeError, match=r"expected|no product|a bias of|biases|squares of"):
        getattr(operators, name)(*arguments)


def test_a_bias_may_have_any_stride() -> None:
    x, weight, bias, _ = arguments((2, 7, 5, 37))
    apart = torch.stack([bias, bias + 1], -1).flatten(2)[..., ::2]
    assert torch.equal(exact.affine(x, weight, apart), exact.affine(x, weight, bias))
    assert torch.equal(exact.layers(x, [weight, apart]), exact.affine(x, weight, bias))
    assert torch.equal(
        exact.affine(x, weight, bias[..., :1].expand(bias.shape))[..., 0], exact.affine(x, weight, bias)[..., 0]
    )


def test_nothing_has_sums_too() -> None:
    assert exact.sums(torch.ones(3, 0)).tolist() == [0.0, 0.0, 0.0]
    assert exact.sums(torch.ones(0, 4)).tolist() == []
    assert exact.square_sums([torch.ones(0, 3)]).tolist() == []
    for wrong in (torch.tensor(1.0), torch.ones(3).half(), torch.ones(3).int()):
        with pytest.raises(TypeError, match=r"^exact\.sums takes "):
            exact.sums(wrong)


def test_what_is_no_number_stays_none() -> None:
    x, weight, bias, _ = arguments((1, 2, 3, 4))
    x[0, 0, 0] = torch.nan
    y = exact.affine(x, weight, bias, positive=True)
    assert y[0, 0].isnan().all()
    assert y[0, 1].isfinite().all()


@pytest.mark.parametrize("count", [1, 31, 32, 33, 1000])
def test_sums(count: int) -> None:
    x = torch.randn(3, 2, count, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(exact.sums(x), x.sum(-1), rtol=1e-4, atol=1e-4)
    assert torch.equal(exact.sums(x[1:2])[0], exact.sums(x)[1])
    assert torch.equal(exact.sums(x.double()).float(), x.double().sum(-1).float())
    parts = [x.flatten(1), x[:, :1, :3].contiguous()]
    torch.testing.assert_close(exact.square_sums(parts), sum(p.square().flatten(1).sum(1) for p in parts))


PROGRAM = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from test_products import digest_of_everything
print(digest_of_everything())
"""


def digest_of_everything() -> str:
    """SHA-256 of products, sums and functions."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    whole = hashlib.sha256()
    for shape in SHAPES:
        for positive in (False, True):
            for t in results(*arguments(shape), positive):
                whole.update(t.contiguous().numpy().tobytes())
    x = torch.rand(5, 333, generator=torch.Generator().manual_seed(1)) * 8 - 4
    found = [exact.sums(x), exact.sums(x.double()), exact.square_sums([x, x[:, :7]]), exact.exp(x), exact.log(x.abs())]
    found += [exact.tanh(x), exact.sqrt(x.abs()), exact.softmax(x), *exact.sine_cosine(x.double()), exact.sqrt(x.abs().double())]  # fmt: skip
    for t in found:
        whole.update(t.contiguous().numpy().tobytes())
    return whole.hexdigest()


@pytest.mark.parametrize(
    "env",
    [{"ATEN_CPU_CAPABILITY": "avx2"}, {"ATEN_CPU_CAPABILITY": "default"}, {"RLBENCH_COMPILER": "none"}],
    ids=["avx2", "no vectors", "no compiler"],
)
def test_other_instructions_give_the_same_bits(env: dict[str, str]) -> None:
    command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent)]
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest_of_everything()


def test_a_compiler_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cxx = tmp_path / "cxx"
    cxx.write_text("#!/bin/sh\n[ \"$1\" = --version ] && exit 0\necho 'x.cpp:1: fatal error: no headers' >&2\nexit 1\n")
    cxx.chmod(0o755)
    monkeypatch.setenv("CXX", str(cxx))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    with pytest.raises(Exception, match=r"^the C\+\+ compiler .* failed: x.cpp:1: fatal error: no headers; name .*$"):
        building.load.__wrapped__()
