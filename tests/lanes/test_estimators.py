"""Estimators and returns of several steps: worked by hand, and against plain statements of the papers in PyTorch."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from rlbench import exact
from rlbench.lanes.choices.bases import Minibatch
from rlbench.lanes.choices.choice import stack
from rlbench.lanes.choices.distributions import C51, QR
from rlbench.lanes.choices.estimators import Munchausen
from rlbench.lanes.choices.losses import CrossEntropy, Huber
from rlbench.lanes.choices.returns import NStep
from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.steps.learning import TakenAction

L, B, A, N = 2, 6, 3, 5
RANDOM = torch.Generator().manual_seed(0)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=RANDOM) * 2


def minibatch(**others: Any) -> Minibatch:
    action = torch.randint(A, (L, B), generator=RANDOM)
    discount = torch.tensor([0.9, 0.0, 0.9, 0.5, 0.9, 0.0]).expand(L, B)
    return Minibatch(drawn(L, B, 4), action, drawn(L, B), discount, drawn(L, B, 4), **others)


class Network:
    """Outputs that are the observations themselves."""

    def __init__(self, variant: Variant, online: Tensor, target: Tensor) -> None:
        self.variant, self._online, self._target = variant, online, target
        self.online_params: list[Tensor] = []

    def online(self, params: object, obs: Tensor) -> Tensor:
        return self._online

    def target(self, params: object, obs: Tensor) -> Tensor:
        return self._target


def test_c51_shares_a_return_between_its_neighbours() -> None:
    """Atoms 0 to 4. 0.5 + 0.5 z lies at 0.5, 1, 1.5, 2, 2.5; what is above 4 counts as 4."""
    estimator = stack([C51(atoms=5, v_min=0.0, v_max=4.0)])
    probability = torch.tensor([0.1, 0.2, 0.3, 0.0, 0.4])
    batch = Minibatch(
        torch.zeros(1, 3, 1), torch.zeros(1, 3).long(), torch.tensor([[0.5, 1.25, 9.0]]),
        torch.tensor([[0.5, 0.0, 1.0]]), torch.zeros(1, 3, 1),
    )  # fmt: skip
    logits = probability.clamp(min=1e-30).log().expand(1, 3, 5)
    goal = estimator.goal(batch, logits, torch.zeros(1, 3).long())
    expected = [[0.05, 0.05 + 0.2 + 0.15, 0.15 + 0.2, 0.2, 0], [0, 0.75, 0.25, 0, 0], [0, 0, 0, 0, 1]]
    torch.testing.assert_close(goal[0], torch.tensor(expected))


@pytest.mark.parametrize("double", [False, True])
def test_c51_is_the_projection_of_the_paper(double: bool) -> None:
    """Algorithm 1 (Bellemare et al., 2017), atom by atom, with numbers that differ between lanes."""
    lanes = [C51(N, -3.0, 3.0), C51(N, -1.0, 2.0)]
    variant = Variant(estimator=stack(lanes), loss=stack([CrossEntropy(), CrossEntropy(0.05)]), double=double)
    online, target, outputs = drawn(L, B, A * N), drawn(L, B, A * N), drawn(L, B, A * N).requires_grad_()
    batch = minibatch()
    goal = TakenAction().goal(Network(variant, online, target), [], batch)  # type: ignore[arg-type]
    losses, errors = TakenAction().losses(variant, outputs, batch, goal)
    (gradient,) = torch.autograd.grad(losses.sum(), outputs)
    differing = 0
    for lane, choice in enumerate(lanes):
        z, floor = torch.linspace(choice.v_min, choice.v_max, N), (0.0, 0.05)[lane]
        gap = (choice.v_max - choice.v_min) / (N - 1)
        for b in range(B):
            chooser = (online if double else target)[lane, b].view(A, N).softmax(1) @ z
            other = (target if double else online)[lane, b].view(A, N).softmax(1) @ z
            differing += int(chooser.argmax() != other.argmax())
            p, m = target[lane, b].view(A, N)[chooser.argmax()].softmax(0), torch.zeros(N)
            for j in range(N):
                tz = (batch.r_t[lane, b] + batch.discount_t[lane, b] * z[j]).clamp(choice.v_min, choice.v_max)
                place = float((tz - choice.v_min) / gap)
                low, high = math.floor(place), math.ceil(place)
                m[low] += p[j] * (high - place + (low == high))
                m[high] += p[j] * (place - low)
            torch.testing.assert_close(goal[lane, b], m, rtol=1e-4, atol=1e-5)
            own = outputs[lane, b].detach().view(A, N).requires_grad_()
            predicted = own[batch.a_tm1[lane, b]].softmax(0).clamp(floor, 1 - floor)
            loss = -(m * predicted.log()).sum()
            torch.testing.assert_close(losses[lane, b], loss, rtol=1e-4, atol=1e-5)
            (expected,) = torch.autograd.grad(loss, own)
            torch.testing.assert_close(gradient[lane, b].view(A, N), expected, rtol=1e-4, atol=1e-5)
    assert differing > 0
    assert torch.equal(losses, errors)


def test_c51_values_are_expected_returns() -> None:
    estimator, outputs = stack([C51(N, -3.0, 3.0), C51(N, -1.0, 2.0)]), drawn(L, B, A * N)
    for lane, (low, high) in enumerate([(-3.0, 3.0), (-1.0, 2.0)]):
        expected = outputs[lane].view(B, A, N).softmax(2) @ torch.linspace(low, high, N)
        torch.testing.assert_close(estimator.values(outputs)[lane], expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(C51(N, low, high).values(outputs[lane]), expected, rtol=1e-5, atol=1e-5)


def test_the_quantile_loss_by_hand() -> None:
    """Quantiles 0 and 2 at 1/4 and 3/4, goals 1 and 5, kappa 1: u = 1, 5, -1, 3."""
    goal = torch.tensor([[[1.0, 5.0]]])
    losses, errors = stack([QR(2)]).losses(stack([Huber(1.0)]), torch.tensor([[[0.0, 2.0]]]), torch.tensor([[0]]), goal)
    assert float(losses) == pytest.approx(((0.25 * 0.5 + 0.25 * 4.5) + (0.25 * 0.5 + 0.75 * 2.5)) / 2)
    assert float(errors) == pytest.approx((1 + 5 + 1 + 3) / 4)


@pytest.mark.parametrize("double", [False, True])
def test_qr_is_the_loss_of_the_paper(double: bool) -> None:
    """Equations 9 and 10 and algorithm 1 (Dabney et al., 2018), pair by pair."""
    variant = Variant(estimator=stack([QR(N), QR(N)]), loss=stack([Huber(1.0), Huber(0.3)]), double=double)
    online, target, outputs = drawn(L, B, A * N), drawn(L, B, A * N), drawn(L, B, A * N).requires_grad_()
    batch = minibatch()
    goal = TakenAction().goal(Network(variant, online, target), [], batch)  # type: ignore[arg-type]
    losses, errors = TakenAction().losses(variant, outputs, batch, goal)
    (gradient,) = torch.autograd.grad(losses.sum(), outputs)
    for lane, kappa in enumerate([1.0, 0.3]):
        for b in range(B):
            best = (online if double else target)[lane, b].view(A, N).mean(1).argmax()
            wanted = batch.r_t[lane, b] + batch.discount_t[lane, b] * target[lane, b].view(A, N)[best]
            own = outputs[lane, b].detach().view(A, N).requires_grad_()
            theta, loss, distance = own[batch.a_tm1[lane, b]], torch.zeros(()), 0.0
            for i in range(N):
                for j in range(N):
                    u = wanted[j] - theta[i]
                    size = abs(float(u.detach()))
                    huber = 0.5 * u**2 if size <= kappa else kappa * (u.abs() - 0.5 * kappa)
                    loss = loss + abs((i + 0.5) / N - float(u.detach() < 0)) * huber / N
                    distance += size / N**2
            (expected,) = torch.autograd.grad(loss, own)
            torch.testing.assert_close(losses[lane, b], loss, rtol=1e-4, atol=1e-5)
            assert float(errors[lane, b]) == pytest.approx(distance, rel=1e-4)
            torch.testing.assert_close(gradient[lane, b].view(A, N), expected, rtol=1e-4, atol=1e-5)


def test_munchausen_is_the_goal_of_the_paper() -> None:
    """Equation 1 of M-DQN (Vieillard et al., 2020), with the policy written out and numbers that differ between lanes."""
    numbers = [(0.3, 0.9, -1.0), (1.5, 0.5, -0.4)]
    variant = Variant(estimator=stack([Munchausen(*lane) for lane in numbers]))
    target = {"before": drawn(L, B, A), "after": drawn(L, B, A)}
    batch = minibatch()

    class Both(Network):
        def target(self, params: object, obs: Tensor) -> Tensor:
            return target["before" if obs is batch.obs_tm1 else "after"]

    goal = TakenAction().goal(Both(variant, target["after"], target["after"]), [], batch)  # type: ignore[arg-type]
    cut = 0
    for lane, (tau, alpha, floor) in enumerate(numbers):
        log_policy = (target["before"][lane] / tau).log_softmax(1)[torch.arange(B), batch.a_tm1[lane]]
        cut += int((tau * log_policy < floor).sum())
        q, log_next = target["after"][lane], (target["after"][lane] / tau).log_softmax(1)
        following = (log_next.exp() * (q - tau * log_next)).sum(1)
        bonus = alpha * (tau * log_policy).clamp(floor, 0)
        torch.testing.assert_close(
            goal[lane], batch.r_t[lane] + bonus + batch.discount_t[lane] * following, rtol=1e-4, atol=1e-5
        )
    assert 0 < cut < L * B


def steps(rewards: list[float], discounts: list[float], last: list[bool]) -> list[dict[str, Tensor]]:
    """Consecutive rows; step k leads to observation k + 1."""
    return [
        {
            "obs_tm1": torch.full((1, 1, 2), float(k)), "obs_t": torch.full((1, 1, 2), k + 1.0), "action": torch.full((1, 1), 10.0 + k),
            "reward": torch.tensor([[rewards[k]]]), "discount_t": torch.tensor([[discounts[k]]]), "is_last": torch.tensor([[float(last[k])]]),
        }
        for k in range(len(rewards))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("discounts", "last", "reward", "discount", "leads_to"),
    [
        ([0.5, 0.5, 0.5], [False, False, False], 1 + 0.5 * 2 + 0.25 * 4, 0.125, 3),
        ([0.5, 0.5, 0.0], [False, False, True], 1 + 0.5 * 2 + 0.25 * 4, 0.0, 3),
        ([0.5, 0.0, 0.5], [False, True, False], 1 + 0.5 * 2, 0.0, 2),  # terminated at the second step
        ([0.5, 0.5, 0.5], [False, True, False], 1 + 0.5 * 2, 0.25, 2),  # truncated there: its last observation counts
        ([0.5, 0.5, 0.5], [True, False, False], 1, 0.5, 1),
        ([0.0, 0.5, 0.5], [True, True, False], 1, 0.0, 1),
    ],
)
def test_three_steps_end_where_their_episode_does(
    discounts: list[float], last: list[bool], reward: float, discount: float, leads_to: float
) -> None:
    found = NStep(3).transition(steps([1.0, 2.0, 4.0], discounts, last))
    assert found["reward"].item() == reward
    assert found["discount_t"].item() == discount
    assert found["obs_t"].flatten().tolist() == [leads_to] * 2
    assert found["obs_tm1"].flatten().tolist() == [0.0] * 2
    assert found["action"].item() == 10


def test_spread_repeats_and_its_derivative_adds_up() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    found = exact.spread(x, 3)
    assert found.tolist() == [[1.0] * 3, [2.0] * 3]
    (gradient,) = torch.autograd.grad((found * torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])).sum(), x)
    assert gradient.tolist() == [6.0, 15.0]
