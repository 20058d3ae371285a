"""The losses of soft actor-critic (Haarnoja et al., arXiv:1812.05905)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from tensordict import TensorDictBase
from tensordict.utils import NestedKey
from torch import Tensor, nn

from hookrl.errors import InvalidType, InvalidValue
from hookrl.objectives.arguments import check_number
from hookrl.objectives.constant import constant_parameters
from hookrl.objectives.off_policy import OffPolicyLoss
from hookrl.objectives.target import frozen_copy
from hookrl.objectives.td import td_target, value_loss, weighted_mean
from hookrl.tensordicts import entry


@runtime_checkable
class SamplesActions(Protocol):
    """What the loss asks of a policy; `hookrl.models.SquashedGaussianPolicy` has it."""

    observation_keys: list[NestedKey]
    """The observations it reads, as (nested) keys of the batch."""
    noise_size: int
    """Numbers of noise per action, which are also the dimensions of an action."""

    def sample(self, observation: Any, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions ``[B, *shape]`` and log-probabilities ``[B]``, for noise ``[B, noise_size]``."""


class EntropyRegularizedLoss(OffPolicyLoss):
    """What both forms of SAC share: critics with targets, and a temperature that is learned.

    The temperature α falls while the entropy is above `target_entropy` and rises below it. Its
    loss is linear in log α, as in the authors' code, torchrl and Stable-Baselines3; eq. 18 has α.

    Args:
        policy: what acts.
        critics: from observations (and actions) to values ``[num_critics, B, outputs]``.
        observation_keys: the batch entries that hold an observation.
        target_entropy: entropy to aim at.
        gamma: discount per step.
        alpha_init: initial temperature.
        fixed_alpha: whether it stays as it is; there is no ``loss_alpha`` then.
        loss_function: see `OffPolicyLoss`.

    Raises:
        InvalidType: `critics` is not a module.
        InvalidValue: a number out of range or an unknown `loss_function`.
    """

    policy: Any
    """What acts, a module."""
    log_alpha: Tensor
    """Logarithm of the temperature, ``[]``: a parameter, or a buffer where it is fixed."""
    target_entropy: float
    """Entropy that the policy is held at."""

    def __init__(
        self,
        policy: nn.Module,
        critics: nn.Module,
        observation_keys: list[NestedKey],
        target_entropy: float,
        *,
        gamma: float,
        alpha_init: float,
        fixed_alpha: bool,
        loss_function: str,
    ) -> None:
        owner = type(self).__name__
        super().__init__(gamma, loss_function, observation_keys, ["action"])
        check_number(owner, "alpha_init", alpha_init, positive=True)
        if not isinstance(critics, nn.Module):
            raise InvalidType(
                f"{owner} expects critics as a module, such as hookrl.models.TwinCritics, got "
                f"{type(critics)}."
            )
        self.policy = policy
        self.critics = critics
        self.target_critics = frozen_copy(critics)
        self.target_entropy = target_entropy
        self.fixed_alpha = fixed_alpha
        device = next(policy.parameters()).device
        log_alpha = torch.tensor(math.log(alpha_init), device=device)
        if fixed_alpha:
            self.register_buffer("log_alpha", log_alpha)
        else:
            self.log_alpha = nn.Parameter(log_alpha)
        self.out_keys = ["loss_actor", "loss_qvalue", "alpha", "entropy", "q_value", "td_target"]
        if not fixed_alpha:
            self.out_keys.append("loss_alpha")

    def target_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """The critics and their targets."""
        return [(self.critics, self.target_critics)]

    def alpha(self) -> Tensor:
        """The temperature, ``[]``, detached."""
        return self.log_alpha.detach().exp()

    def checked_values(self, values: Tensor, size: int, outputs: int | str) -> Tensor:
        """Return the critics' `values` if they are ``[num_critics, size, outputs]``.

        Raises:
            InvalidValue: they are not; other shapes might broadcast without a word.
        """
        if values.ndim != 3 or values.shape[1] != size or outputs not in ("n", values.shape[2]):
            raise InvalidValue(
                f"{type(self).__name__} expects critics that give [num_critics, {size}, {outputs}] "
                f"for {size} observations, got {list(values.shape)}."
            )
        return values

    def assemble(
        self,
        value: Tensor,
        target: Tensor,
        actor_objective: Tensor,
        entropy: Tensor,
        alpha: Tensor,
        weight: Tensor | None,
    ) -> dict[str, Tensor]:
        """Losses and diagnostics.

        Importance weights apply to all of them, so that each is the mean over the buffer.

        Args:
            value: ``[num_critics, B]``, of the actions taken.
            target: ``[B]``, what they should be.
            actor_objective: ``[B]``, what the policy minimises.
            entropy: ``[B]``, detached.
            alpha: ``[]``, the temperature that the others were computed with.
            weight: ``[B]``, or None.
        """
        detached, mean_entropy = value.detach(), entropy.mean()
        terms = {
            "loss_actor": weighted_mean(actor_objective, weight),
            "loss_qvalue": value_loss(value, target, self.loss_function, weight),
            "alpha": alpha,
            "entropy": mean_entropy,
            "q_value": detached.mean(),
            "td_target": target.mean(),
            "td_error": (detached - target).abs().amax(0),
        }
        if not self.fixed_alpha:
            surplus = mean_entropy - self.target_entropy
            if weight is not None:
                surplus = weighted_mean(entropy - self.target_entropy, weight)
            terms["loss_alpha"] = self.log_alpha * surplus
        return terms


class SACLoss(EntropyRegularizedLoss):
    """Critics, policy and temperature of soft actor-critic for continuous actions.

    Values and gradients equal those of torchrl's loss of the same name (its second version), except
    that importance weights are not made to sum to one. Each loss reaches the parameters it is to
    train and no others, so their sum may go to one optimizer or each to its own.

    Args:
        policy: such as `hookrl.models.SquashedGaussianPolicy`.
        critics: from observations and actions to ``[num_critics, B, 1]``, such as
            `hookrl.models.TwinCritics`.
        gamma: discount per step.
        alpha_init: initial temperature; what it is for good where `fixed_alpha`.
        target_entropy: entropy to aim at, in the action space's own units; "auto" for minus the
            dimensions of an action.
        fixed_alpha: whether the temperature stays as it is; there is no ``loss_alpha`` then.
        loss_function: distance between values and targets: "l2" (without the factor 1/2),
            "smooth_l1" or "l1".
        seed: of the noise that is drawn where the batch brings none.

    Raises:
        InvalidType: a policy without ``sample``, or critics that are not a module.
        InvalidValue: a number out of range, or an unknown `loss_function` or `target_entropy`.
    """

    def __init__(
        self,
        policy: nn.Module,
        critics: nn.Module,
        *,
        gamma: float = 0.99,
        alpha_init: float = 1.0,
        target_entropy: float | str = "auto",
        fixed_alpha: bool = False,
        loss_function: str = "l2",
        seed: int = 0,
    ) -> None:
        if not isinstance(policy, nn.Module) or not isinstance(policy, SamplesActions):
            raise InvalidType(
                "SACLoss expects a policy with sample(), noise_size and observation_keys, such as "
                f"hookrl.models.SquashedGaussianPolicy, got {type(policy)}; DiscreteSACLoss is for "
                "discrete actions."
            )
        super().__init__(
            policy,
            critics,
            policy.observation_keys,
            checked_target_entropy(type(self).__name__, target_entropy, -float(policy.noise_size)),
            gamma=gamma,
            alpha_init=alpha_init,
            fixed_alpha=fixed_alpha,
            loss_function=loss_function,
        )
        self._noise_size = policy.noise_size
        # On the CPU, so that a run is the same on any device.
        self._generator = torch.Generator().manual_seed(seed)

    def set_seed(self, seed: int) -> None:
        """Start the own noise anew."""
        self._generator.manual_seed(seed)

    def get_extra_state(self) -> dict[str, Tensor]:
        """The state of the own noise."""
        return {"generator": self._generator.get_state()}

    def set_extra_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore the own noise."""
        self._generator.set_state(state["generator"].cpu())

    def noise(self, tensordict: TensorDictBase) -> dict[str, Tensor]:
        """Noise of the batch, ``("noise", "action")`` and ``("noise", "next_action")``, or our own.

        Both are standard normal, ``[B, noise_size]``; drawing them outside is what a captured step
        needs.

        Raises:
            InvalidValue: noise of another shape.
        """
        shape = (tensordict.batch_size.numel(), self._noise_size)
        drawn: dict[str, Tensor] = {}
        for argument, name in (("next_noise", "next_action"), ("noise", "action")):
            given = entry(tensordict, ("noise", name))
            if given is None:
                given = torch.randn(shape, generator=self._generator)
                given = given.to(self.log_alpha.device, non_blocking=True)
            elif given.shape != shape:
                raise InvalidValue(
                    f"SACLoss expects ('noise', {name!r}) of shape {shape}, got "
                    f"{tuple(given.shape)}."
                )
            drawn[argument] = given
        return drawn

    def draw_noise(self, tensordict: TensorDictBase) -> None:
        """Put ``("noise", "action")`` and ``("noise", "next_action")`` into the batch."""
        drawn = self.noise(tensordict)
        tensordict["noise", "action"] = drawn["noise"]
        tensordict["noise", "next_action"] = drawn["next_noise"]

    def terms(
        self,
        observation: Any,
        action: Tensor,
        next_observation: Any,
        reward: Tensor,
        terminated: Tensor,
        steps_to_next_obs: Tensor | None = None,
        weight: Tensor | None = None,
        **noise: Tensor,
    ) -> dict[str, Tensor]:
        """Return the losses, the diagnostics and ``td_error``, the largest of the critics'.

        Args are those of `hookrl.objectives.td.Transitions`, then ``noise`` and ``next_noise``,
        standard normal ``[B, noise_size]``.
        """
        values = self.checked_values(self.critics(observation, action), len(reward), 1)
        alpha = self.alpha()
        with torch.no_grad():
            next_action, next_log_prob = self.policy.sample(next_observation, noise["next_noise"])
            next_values = self.target_critics(next_observation, next_action).squeeze(-1)
            next_value = next_values.amin(0) - alpha * next_log_prob
            target = td_target(reward, terminated, next_value, self.gamma, steps_to_next_obs)
        new_action, log_prob = self.policy.sample(observation, noise["noise"])
        with constant_parameters(self.critics):
            new_value = self.critics(observation, new_action)
        objective = alpha * log_prob - new_value.squeeze(-1).amin(0)
        entropy = -log_prob.detach()
        return self.assemble(values.squeeze(-1), target, objective, entropy, alpha, weight)


def checked_target_entropy(owner: str, value: float | str, automatic: float) -> float:
    """Return the number that `value` stands for.

    Args:
        owner: whose argument it is.
        value: a number, or "auto".
        automatic: what "auto" stands for.

    Raises:
        InvalidValue: it is neither.
    """
    if value == "auto":
        return automatic
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise InvalidValue(
        f"{owner} expects target_entropy to be a finite number or 'auto', got {value!r}."
    )
