"""The losses against torchrl's on shared weights and noise, and by hand."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from gymnasium import spaces
from tensordict import TensorDict
from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential
from tensordict.nn import TensorDictModule as Module
from torch import Tensor, nn
from torch import distributions as D
from torchrl.modules import ValueOperator
from torchrl.objectives import SACLoss as TorchRLSACLoss
from torchrl.objectives import ValueEstimators
from torchrl.objectives import sac as torchrl_sac

from hookrl.models import CategoricalPolicy, SquashedGaussianPolicy, TwinCritics
from hookrl.models.twin_critics import BatchedLinear
from hookrl.objectives import SACLoss
from hookrl.objectives.td import read_transitions

OBSERVATION = spaces.Box(-1, 1, (3,))
ACTIONS = spaces.Box(torch.tensor([-1.0, -2.0]).numpy(), torch.tensor([1.0, 3.0]).numpy())
LOSSES = ("loss_actor", "loss_qvalue", "loss_alpha")
B = 32


def randomize(tensors: Iterator[Tensor], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for tensor in tensors:
        nn.init.normal_(tensor, std=0.5, generator=generator)


def loss_for(num_critics: int = 2, **options: Any) -> SACLoss:
    """A loss whose targets are other networks, as after some training."""
    policy = SquashedGaussianPolicy.from_spaces(OBSERVATION, ACTIONS, hidden_sizes=(8,))
    critics = TwinCritics.from_spaces(
        OBSERVATION, ACTIONS, hidden_sizes=(8,), num_critics=num_critics
    )
    randomize(policy.parameters(), 0)
    randomize(critics.parameters(), 1)
    loss = SACLoss(policy, critics, **options)
    randomize(loss.target_critics.parameters(), 2)
    return loss


def with_noise(batch: TensorDict, seed: int = 0) -> TensorDict:
    generator = torch.Generator().manual_seed(seed)
    for name in ("action", "next_action"):
        batch["noise", name] = torch.randn(len(batch), 2, generator=generator)
    return batch


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


def total(losses: TensorDict) -> Tensor:
    return torch.stack([losses[key] for key in LOSSES if key in losses]).sum()


def our_gradients(ours: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    params = dict(ours.named_parameters())
    grads = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
    return {name: g for name, g in zip(params, grads, strict=True) if g is not None}


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


def assert_same_gradients(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], rtol=1e-4, atol=1e-5, msg=name)


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


def test_each_loss_reaches_what_it_trains_and_nothing_else(transitions: Any) -> None:
    loss = loss_for()
    result = loss(transitions(ACTIONS))
    reached = {
        key: {name.split(".")[0] for name in our_gradients(loss, result[key])} for key in LOSSES
    }
    assert reached == {
        "loss_actor": {"policy"},
        "loss_qvalue": {"critics"},
        "loss_alpha": {"log_alpha"},
    }


def test_losses_may_be_optimised_together_or_apart(transitions: Any) -> None:
    loss, batch = loss_for(), with_noise(transitions(ACTIONS))
    together = our_gradients(loss, total(loss(batch)))
    for key in LOSSES:
        loss(batch)[key].backward()
    for name, parameter in loss.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, together[name])


def test_parameters_are_policy_critics_and_temperature() -> None:
    loss = loss_for()
    trained = [*loss.policy.parameters(), *loss.critics.parameters(), loss.log_alpha]
    assert {id(p) for p in loss.parameters()} == {id(p) for p in trained}
    assert all(p.requires_grad for p in loss.parameters())


def test_an_optimizer_leaves_the_targets_alone_until_they_are_updated(transitions: Any) -> None:
    loss = loss_for()
    before = {name: t.clone() for name, t in loss.target_critics.state_dict().items()}
    optimizer = torch.optim.AdamW(loss.parameters(), lr=0.1)
    total(loss(transitions(ACTIONS))).backward()
    optimizer.step()
    for name, tensor in loss.target_critics.state_dict().items():
        assert torch.equal(tensor, before[name])
    loss.update_targets(0.25)
    for name, tensor in loss.target_critics.state_dict().items():
        moved = 0.75 * before[name] + 0.25 * loss.critics.state_dict()[name]
        torch.testing.assert_close(tensor, moved)


class Coin(nn.Module):
    """A policy with the action tanh(shift + noise) and the log-probability -1, for sums by hand."""

    observation_keys = ("observation",)
    noise_size = 1

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(0.0))

    def sample(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return self.shift + noise, 0.0 * self.shift - torch.ones(len(noise))


class Slopes(nn.Module):
    """Two critics: Q_1 = w_1 a and Q_2 = w_2 a."""

    def __init__(self) -> None:
        super().__init__()
        self.slopes = nn.Parameter(torch.tensor([2.0, 3.0]))

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        return self.slopes[:, None, None] * action


def by_hand(**entries: Any) -> tuple[SACLoss, TensorDict]:
    loss = SACLoss(Coin(), Slopes(), gamma=0.5, alpha_init=0.1, target_entropy=0.25)
    loss.target_critics.slopes.copy_(torch.tensor([4.0, 6.0]))
    nested = {
        "observation": torch.zeros(1, 1),
        "reward": torch.tensor([[1.0]]),
        "terminated": torch.tensor([[entries.pop("terminated", False)]]),
        "truncated": torch.tensor([[entries.pop("truncated", False)]]),
    }
    batch = TensorDict(
        {
            "observation": torch.zeros(1, 1),
            "action": torch.ones(1, 1),
            "next": nested,
            "noise": {"action": torch.tensor([[2.0]]), "next_action": torch.tensor([[5.0]])},
        },
        [1],
    )
    return loss, batch.update({key: torch.tensor([[value]]) for key, value in entries.items()})


@pytest.mark.parametrize(
    ("entries", "discount"),
    [
        ({}, 0.5),
        ({"terminated": True}, 0.0),
        ({"truncated": True}, 0.5),
        ({"steps_to_next_obs": 3}, 0.125),
    ],
    ids=["running", "terminated", "truncated", "three steps"],
)
def test_losses_by_hand(entries: dict[str, Any], discount: float) -> None:
    loss, batch = by_hand(**entries)
    result = loss(batch)
    target = 1 + discount * (4 * 5 + 0.1)  # the least of the targets, minus α log p
    assert result["td_target"].item() == pytest.approx(target)
    assert result["loss_qvalue"].item() == pytest.approx((2 - target) ** 2 + (3 - target) ** 2)
    assert result["loss_actor"].item() == pytest.approx(0.1 * -1 - 2 * 2)
    assert result["loss_alpha"].item() == pytest.approx(math.log(0.1) * (1 - 0.25))
    assert result["q_value"].item() == pytest.approx(2.5)
    assert result["entropy"].item() == pytest.approx(1)
    assert batch["td_error"].tolist() == pytest.approx([max(abs(2 - target), abs(3 - target))])


def test_weights_multiply_every_loss() -> None:
    loss, batch = by_hand()
    plain = loss(batch)
    loss, batch = by_hand(_weight=0.25)
    weighted = loss(batch)
    for key in LOSSES:
        assert weighted[key].item() == pytest.approx(0.25 * plain[key].item())


def test_temperature_rises_when_entropy_is_too_low() -> None:
    loss, batch = by_hand()
    loss.target_entropy = 2.0  # the entropy is 1
    loss(batch)["loss_alpha"].backward()
    assert loss.log_alpha.grad is not None
    assert loss.log_alpha.grad.item() < 0


def test_automatic_target_entropy_is_minus_the_dimensions() -> None:
    assert loss_for().target_entropy == -2


def test_result_is_scalar_and_only_losses_carry_gradients(transitions: Any) -> None:
    loss, batch = loss_for(), transitions(ACTIONS)
    result = loss(batch)
    assert set(result.keys()) == set(loss.out_keys)
    assert all(value.shape == () for value in result.values())
    assert {key for key, value in result.items() if value.requires_grad} == set(LOSSES)
    assert batch["td_error"].shape == (B,)
    assert not batch["td_error"].requires_grad


def test_in_keys_are_exactly_what_is_needed(transitions: Any) -> None:
    loss, batch = loss_for(), transitions(ACTIONS)
    loss(batch.select(*loss.in_keys))
    for key in loss.in_keys:
        with pytest.raises(KeyError, match="SACLoss reads"):
            loss(batch.select(*loss.in_keys).exclude(key))


def test_own_noise_is_seeded_and_never_the_global_one(transitions: Any) -> None:
    batch = transitions(ACTIONS)
    before = torch.get_rng_state()
    first, again, other = (loss_for(seed=seed)(batch) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first["loss_actor"], again["loss_actor"])
    assert not torch.equal(first["loss_actor"], other["loss_actor"])
    loss = loss_for(seed=2)
    loss.set_seed(1)
    assert torch.equal(loss(batch)["loss_actor"], first["loss_actor"])
    assert not torch.equal(loss(batch)["loss_actor"], first["loss_actor"])


def test_state_round_trips_with_targets_and_noise(transitions: Any) -> None:
    batch = transitions(ACTIONS)
    loss, other = loss_for(), loss_for(seed=9)
    randomize(other.parameters(), 5)
    loss(batch)
    other.load_state_dict(copy.deepcopy(loss.state_dict()))
    expected, got = loss(batch), other(batch)
    for key, value in expected.items():
        assert torch.equal(got[key], value), key


def test_noise_given_from_outside_leaves_the_own_one_alone(transitions: Any) -> None:
    loss = loss_for()
    before = loss.get_extra_state()["generator"]
    loss(with_noise(transitions(ACTIONS)))
    assert torch.equal(loss.get_extra_state()["generator"], before)


def test_loss_is_a_function_of_parameters_given_from_outside(transitions: Any) -> None:
    loss, batch = loss_for(), with_noise(transitions(ACTIONS))
    parameters = {name: p.detach().clone() for name, p in loss.named_parameters()}

    def objective(parameters: dict[str, Tensor]) -> Tensor:
        return total(torch.func.functional_call(loss, parameters, (batch.clone(),)))

    functional = torch.func.grad(objective)(parameters)
    assert_same_gradients(functional, our_gradients(loss, total(loss(batch))))


def test_terms_on_plain_tensors_are_the_same(transitions: Any) -> None:
    loss, batch = loss_for(), with_noise(transitions(ACTIONS))
    terms = loss.terms(
        batch["observation"],
        batch["action"],
        batch["next", "observation"],
        batch["next", "reward"].squeeze(-1),
        batch["next", "terminated"].squeeze(-1),
        noise=batch["noise", "action"],
        next_noise=batch["noise", "next_action"],
    )
    for key, value in loss(batch).items():
        assert torch.equal(terms[key], value)


def test_any_number_of_critics_is_taken(transitions: Any) -> None:
    for num_critics in (1, 3):
        assert loss_for(num_critics)(transitions(ACTIONS))["loss_qvalue"].isfinite()


def test_a_discrete_policy_is_refused_with_the_loss_to_use() -> None:
    policy = CategoricalPolicy.from_spaces(OBSERVATION, spaces.Discrete(2))
    with pytest.raises(TypeError, match="DiscreteSACLoss is for discrete actions"):
        SACLoss(policy, loss_for().critics)


def test_critics_that_are_no_module_are_refused() -> None:
    critics: Any = [nn.Linear(2, 1)]
    with pytest.raises(TypeError, match="SACLoss expects critics as a module"):
        SACLoss(loss_for().policy, critics)


def test_noise_of_another_shape_is_refused(transitions: Any) -> None:
    batch = with_noise(transitions(ACTIONS))
    batch["noise", "action"] = torch.zeros(B, 1)
    with pytest.raises(
        ValueError, match=r"\('noise', 'action'\) of shape \(32, 2\), got \(32, 1\)"
    ):
        loss_for()(batch)


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ({"gamma": -0.1}, "gamma to be a number not below 0 and at most 1, got -0.1"),
        ({"alpha_init": 0.0}, "alpha_init to be a number above 0, got 0.0"),
        ({"target_entropy": "automatic"}, "target_entropy to be a finite number or 'auto'"),
        ({"target_entropy": float("nan")}, "target_entropy to be a finite number or 'auto'"),
        ({"loss_function": "l3"}, "loss_function to be one of 'l2', 'smooth_l1', 'l1', got 'l3'"),
    ],
)
def test_bad_arguments_are_named(bad: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"SACLoss expects {text}"):
        loss_for(**bad)


@pytest.mark.parametrize("outputs", [1, 4], ids=["single critic", "discrete critics"])
def test_critics_of_another_shape_are_refused(transitions: Any, outputs: int) -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(5, outputs))

        def forward(self, observation: Tensor, action: Tensor) -> Tensor:
            values = torch.cat([observation, action], -1) @ self.weight
            return values if outputs == 1 else torch.stack([values, values])

    with pytest.raises(
        ValueError, match=r"critics that give \[num_critics, 32, 1\] for 32 obs.*, got"
    ):
        SACLoss(loss_for().policy, Flat())(transitions(ACTIONS))


def test_terms_are_captured_in_one_graph(transitions: Any) -> None:
    loss, batch = loss_for(), with_noise(transitions(ACTIONS))
    inputs, noise = read_transitions(batch, "It"), loss.noise(batch)
    captured = torch.compile(loss.terms, fullgraph=True, backend="eager")(*inputs, **noise)
    for key, value in loss.terms(*inputs, **noise).items():
        torch.testing.assert_close(captured[key], value)
