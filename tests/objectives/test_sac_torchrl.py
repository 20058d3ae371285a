"""SAC's losses against torchrl's on shared weights and noise."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from objectives.sac_losses import (
    ACTIONS,
    LOSSES,
    B,
    assert_same_gradients,
    loss_for,
    our_gradients,
    total,
    with_noise,
)
from tensordict import TensorDict
from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential
from tensordict.nn import TensorDictModule as Module
from torch import Tensor, nn
from torch import distributions as D
from torchrl.modules import ValueOperator
from torchrl.objectives import SACLoss as TorchRLSACLoss
from torchrl.objectives import ValueEstimators
from torchrl.objectives import sac as torchrl_sac

from hookrl.models import TwinCritics
from hookrl.models.twin_critics import BatchedLinear
from hookrl.objectives import SACLoss


class Squashed(D.TransformedDistribution):
    """The policy's distribution, from torch's parts; ``noise`` is what it draws next."""

    noise: Iterator[Tensor]

    def __init__(self, loc: Tensor, log_std: Tensor) -> None:
        low, high = torch.as_tensor(ACTIONS.low), torch.as_tensor(ACTIONS.high)
        # Both caches: log_prob shall find u itself, not recompute it from a saturated tanh.
        squash = D.TanhTransform(cache_size=1)
        stretch = D.AffineTransform((low + high) / 2, (high - low) / 2, cache_size=1)
        super().__init__(D.Independent(D.Normal(loc, log_std.exp()), 1), [squash, stretch])

    def drawn(self) -> tuple[Tensor, Tensor]:
        normal = self.base_dist.base_dist
        action = normal.loc + normal.scale * next(self.noise)
        for transform in self.transforms:
            action = transform(action)
        return action, self.log_prob(action)


class Critic(nn.Module):
    """One of the batched critics, by itself."""

    def __init__(self, critics: TwinCritics, index: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        assert isinstance(critics.net, nn.Sequential)
        for layer in critics.net:
            if isinstance(layer, BatchedLinear):
                linear = nn.Linear(*layer.weight.shape[1:])
                linear.weight.data = layer.weight.data[index].T.clone()
                linear.bias.data = layer.bias.data[index, 0].clone()
                layers.append(linear)
            else:
                layers.append(nn.ReLU())
        self.net = nn.Sequential(*layers)

    def forward(self, observation: Tensor, action: Tensor | None = None) -> Tensor:
        inputs = observation if action is None else torch.cat([observation, action], -1)
        return self.net(inputs)


def copy_targets(ours: Any, theirs: Any) -> None:
    state = ours.target_critics.state_dict()
    for name, tensor in theirs.target_qvalue_network_params.flatten_keys(".").items():
        layer, kind = name.split(".")[-2:]
        source = state[f"net.{layer}.{kind}"]
        tensor.data.copy_(source.mT if kind == "weight" else source.squeeze(1))


def torchrl_loss(ours: SACLoss, loss_function: str, **options: Any) -> TorchRLSACLoss:
    net = Module(copy.deepcopy(ours.policy), ["observation"], ["loc", "log_std"])
    head = ProbabilisticTensorDictModule(
        ["loc", "log_std"], ["action"], distribution_class=Squashed, return_log_prob=True
    )
    critics = [
        ValueOperator(Critic(ours.critics, k), in_keys=["observation", "action"]) for k in (0, 1)
    ]
    theirs = TorchRLSACLoss(
        ProbabilisticTensorDictSequential(net, head),
        critics,
        num_qvalue_nets=2,
        loss_function=loss_function,
        action_spec=None,
        **options,
    )
    theirs.make_value_estimator(ValueEstimators.TD0, gamma=ours.gamma)
    copy_targets(ours, theirs)
    return theirs


def their_gradients(theirs: Any, loss: Tensor) -> dict[str, Tensor]:
    """Gradients under our names, critics transposed to our layout."""
    entries = theirs.actor_network_params.flatten_keys(".").items()
    policy = {name: tensor for name, tensor in entries if tensor.requires_grad}
    critics = dict(theirs.qvalue_network_params.flatten_keys(".").items())
    grads = iter(
        torch.autograd.grad(
            loss, [*policy.values(), *critics.values(), theirs.log_alpha], allow_unused=True
        )
    )
    named: dict[str, Tensor | None] = {}
    for name in policy:
        named["policy.policy_net." + ".".join(name.split(".")[-2:])] = next(grads)
    for name in critics:
        layer, kind = name.split(".")[-2:]
        grad = next(grads)
        named[f"critics.net.{layer}.{kind}"] = (
            None if grad is None else grad.mT if kind == "weight" else grad.unsqueeze(1)
        )
    named["log_alpha"] = next(grads)
    return {name: grad for name, grad in named.items() if grad is not None}


@pytest.fixture
def same_noise(monkeypatch: pytest.MonkeyPatch) -> Callable[[TensorDict], None]:
    """Let torchrl draw the noise that a batch brings, in the order in which it asks."""
    monkeypatch.setattr(torchrl_sac, "compute_rsample_log_prob", lambda dist: dist.drawn())

    def use(batch: TensorDict) -> None:
        Squashed.noise = iter([batch["noise", "next_action"], batch["noise", "action"]])

    return use


@pytest.mark.parametrize(
    ("loss_function", "alpha_init", "steps", "weighted"),
    list(itertools.product(["l2", "smooth_l1"], [1.0, 0.3], [None, 3], [False, True])),
)
@pytest.mark.filterwarnings("ignore")
def test_values_and_gradients_equal_torchrl(
    transitions: Any,
    same_noise: Any,
    loss_function: str,
    alpha_init: float,
    steps: int | None,
    weighted: bool,
) -> None:
    options: dict[str, Any] = {"alpha_init": alpha_init, "loss_function": loss_function}
    ours = loss_for(**options, target_entropy=-1.5)
    theirs = torchrl_loss(ours, **options, target_entropy=-1.5)
    batch = with_noise(transitions(ACTIONS))
    if steps is not None:
        batch["steps_to_next_obs"] = torch.arange(B).remainder(steps).add(1).unsqueeze(-1)
    scale = 1.0
    if weighted:  # torchrl divides by the sum of weights instead of their number
        batch["priority_weight"] = torch.rand(B, generator=torch.Generator().manual_seed(0)) + 0.1
        scale = 1 / batch["priority_weight"].mean().item()
    same_noise(batch)
    their_batch = batch.clone()
    expected, got = theirs(their_batch), ours(batch)
    for key in LOSSES:
        torch.testing.assert_close(got[key] * scale, expected[key], rtol=1e-5, atol=1e-5, msg=key)
    for key in ("alpha", "entropy"):
        torch.testing.assert_close(got[key], expected[key], rtol=1e-5, atol=1e-5, msg=key)
    torch.testing.assert_close(batch["td_error"], their_batch["td_error"], rtol=1e-4, atol=1e-5)
    assert_same_gradients(
        our_gradients(ours, total(got) * scale), their_gradients(theirs, total(expected))
    )


@pytest.mark.filterwarnings("ignore")
def test_fixed_temperature_equals_torchrl_and_is_not_trained(
    transitions: Any, same_noise: Any
) -> None:
    ours = loss_for(fixed_alpha=True, alpha_init=0.2)
    theirs = torchrl_loss(ours, "l2", fixed_alpha=True, alpha_init=0.2, target_entropy=-2.0)
    batch = with_noise(transitions(ACTIONS))
    same_noise(batch)
    expected, got = theirs(batch.clone()), ours(batch)
    for key in ("loss_actor", "loss_qvalue", "alpha"):
        torch.testing.assert_close(got[key], expected[key], rtol=1e-5, atol=1e-5, msg=key)
    assert "loss_alpha" not in got
    assert set(got.keys()) == set(ours.out_keys)
    assert "log_alpha" not in dict(ours.named_parameters())
    assert "log_alpha" in ours.state_dict()
