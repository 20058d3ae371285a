"""What tensor environments have in common: pure functions, and gymnasium's vector API over them.

A problem is three pure functions of tensors: `TensorEnv.initial`, `TensorEnv.dynamics` and
`TensorEnv.observe`. From these `TensorEnv.advance` makes one step with time limit and reset, pure
as well: nothing in it depends on a value by Python's `if`, and random numbers enter as an argument,
since generators cannot be captured. `reset` and `step` are the same for whoever wants an object
that remembers where it is.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium as gym
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from hookrl.errors import InvalidType, InvalidValue, did_you_mean
from hookrl.state import same_keys

_MODES = (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED)
_OPTIONS = ("reset_mask",)


class State(NamedTuple):
    """Where a batch of environments is."""

    physics: Tensor
    """What the next step depends on, float32 ``[envs, numbers]``."""
    steps: Tensor
    """Steps since the last reset, int32 ``[envs]``."""


class Transition(NamedTuple):
    """What one step of `TensorEnv.advance` gives; environments that ended are reset in it."""

    state: State
    """Where the next step starts."""
    observation: Tensor
    """What the policy sees next, float32 ``[envs, *observation]``: after an end, the reset's."""
    final_observation: Tensor
    """What the step led to, for all environments; after an end, that episode's true last one."""
    reward: Tensor
    """float32 ``[envs]``."""
    terminated: Tensor
    """Where the problem ended the episode, bool ``[envs]``."""
    truncated: Tensor
    """Where the time limit was reached, bool ``[envs]``; as in gymnasium, both can be true."""
    done: Tensor
    """Either of the two, bool ``[envs]``."""


class TensorEnv(VectorEnv[Tensor, Tensor, Tensor], ABC):
    """A batch of environments on one device, with gymnasium's vector API and torch's tensors.

    After the end of an episode it depends on the autoreset mode what `step` does:

    - SAME_STEP: what ended is reset in the same step. The observation is the new episode's first;
      ``infos["final_obs"]`` holds what the step led to, for every environment, and
      ``infos["_final_obs"]`` is true where that was the last of an episode.
    - DISABLED: nothing is reset until ``reset(options={"reset_mask": mask})``; what an environment
      does in between means nothing.

    Nothing waits for the device, so the values of actions are not checked. Tensors that are handed
    out are never changed afterwards.

    Args:
        num_envs: environments in the batch.
        device: where all tensors are.
        max_episode_steps: time limit; None: the problem's own, as gymnasium registers it.
        autoreset_mode: SAME_STEP or DISABLED.

    Raises:
        InvalidValue: if `num_envs` or `max_episode_steps` is below 1, or the mode is NEXT_STEP,
            which would spend a step on every reset.
    """

    time_limit: int
    """Steps after which an episode is cut off, unless `max_episode_steps` says otherwise."""
    noise_size: int
    """Random numbers that one reset of one environment takes."""
    physics_size: int
    """Numbers in the state of one environment, apart from its step counter."""

    def __init__(
        self,
        num_envs: int = 1,
        *,
        device: torch.device | str = "cpu",
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
    ) -> None:
        if num_envs < 1:
            raise InvalidValue(f"num_envs={num_envs}: expected at least 1.")
        if max_episode_steps is not None and max_episode_steps < 1:
            raise InvalidValue(f"max_episode_steps={max_episode_steps}: expected at least 1.")
        if autoreset_mode not in _MODES:
            raise InvalidValue(
                f"autoreset_mode={autoreset_mode}: expected one of {', '.join(map(str, _MODES))}."
            )
        self.num_envs = num_envs
        self.max_episode_steps = max_episode_steps or self.time_limit
        self.metadata = {"autoreset_mode": autoreset_mode}
        self.device = torch.empty(0, device=device).device  # "cuda" becomes "cuda:0"
        self.single_observation_space, self.single_action_space = self.make_spaces()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._generator = torch.Generator(self.device)
        self._generator.seed()  # a new one always has the same seed
        self._physics: Tensor | None = None
        self._steps: Tensor | None = None

    # ------------------------------------------------------------------ the problem

    @staticmethod
    @abstractmethod
    def make_spaces() -> tuple[gym.spaces.Box, gym.spaces.Box | gym.spaces.Discrete]:
        """Return the observation and the action space of a single environment."""

    @abstractmethod
    def initial(self, noise: Tensor) -> Tensor:
        """Return the physical states in which episodes begin, float32 ``[envs, numbers]``.

        Args:
            noise: uniform on [0, 1), float32 ``[envs, noise_size]``.
        """

    @abstractmethod
    def dynamics(self, physics: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what one step leads to, without time limits and resets.

        Args:
            physics: float32 ``[envs, numbers]``.
            action: int ``[envs]`` for a Discrete space, float32 ``[envs, *action]`` for a Box.

        Returns:
            The next physical state, float32 ``[envs, numbers]``; the reward, float32 ``[envs]``;
            and where the episode is over, bool ``[envs]``. All are new memory.
        """

    @abstractmethod
    def observe(self, physics: Tensor) -> Tensor:
        """Return what the policy sees, float32 ``[envs, *observation]``, in new memory."""

    # ------------------------------------------------------------------ pure functions over it

    def advance(self, state: State, action: Tensor, noise: Tensor) -> Transition:
        """Step, keep what that led to, and reset what ended: pure, and made to be captured.

        The object's own state is neither read nor changed.

        Args:
            state: where the environments are.
            action: as for `dynamics`.
            noise: for the resets, of which most are not needed; see `draw_noise`.
        """
        physics, reward, terminated = self.dynamics(state.physics, action)
        steps = state.steps + 1
        truncated = steps >= self.max_episode_steps
        done = terminated | truncated
        final_observation = self.observe(physics)
        state = self._begin_again(State(physics, steps), done, noise)
        return Transition(
            state,
            self.observe(state.physics),
            final_observation,
            reward,
            terminated,
            truncated,
            done,
        )

    def begin(self, noise: Tensor) -> State:
        """Return the state of environments that all begin an episode; see `draw_noise`."""
        physics = self.initial(noise)
        return State(physics, torch.zeros_like(physics[..., 0], dtype=torch.int32))

    def _begin_again(self, state: State, mask: Tensor, noise: Tensor) -> State:
        physics = torch.where(mask.unsqueeze(-1), self.initial(noise), state.physics)
        return State(physics, state.steps.masked_fill(mask, 0))

    # ------------------------------------------------------------------ gymnasium's vector API

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """Begin new episodes.

        Args:
            seed: for the generator that resets draw from; None: it goes on. What follows depends on
                the seed, the number of environments and the kind of device, and on nothing else.
            options: ``{"reset_mask": mask}``, bool ``[envs]``, resets only where it is true.

        Returns:
            The observations of all environments, and an empty dictionary.

        Raises:
            InvalidType: if the seed is no integer, or the mask no bool tensor.
            InvalidValue: if the seed is out of range, the mask has another shape or device, an
                option is unknown, or a mask comes before the first reset.
        """
        mask = self._reset_mask(options)
        if seed is not None:
            self._generator.manual_seed(_checked_seed(seed))
        noise = self.draw_noise()
        state = self.begin(noise)
        if mask is not None:
            state = self._begin_again(self._current(), mask, noise)
        self._physics, self._steps = state
        return self.observe(state.physics), {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Step every environment.

        Args:
            actions: integers ``[envs]`` (int64 or int32) for a Discrete space, whose values must be
                in it; float32 ``[envs, *action]`` for a Box.

        Returns:
            Observations, float32 ``[envs, *observation]``; rewards, float32 ``[envs]``; where
            episodes ended by the problem and by the time limit, bool ``[envs]`` each; and infos.

        Raises:
            InvalidType: if the actions are no tensor, or of another dtype.
            InvalidValue: if they have another shape or device, or `reset` was never called.
        """
        self._check_actions(actions)
        actions = actions.detach()  # `advance` can be differentiated; what is kept here cannot
        state = self._current()
        if self.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP:
            after = self.advance(state, actions, self.draw_noise())
            self._physics, self._steps = after.state
            infos = {"final_obs": after.final_observation, "_final_obs": after.done}
            return after.observation, after.reward, after.terminated, after.truncated, infos
        self._physics, reward, terminated = self.dynamics(state.physics, actions)
        self._steps = state.steps + 1
        truncated = self._steps >= self.max_episode_steps
        return self.observe(self._physics), reward, terminated, truncated, {}

    # ------------------------------------------------------------------ random numbers and state

    def draw_noise(self, steps: int | None = None) -> Tensor:
        """Draw what resets need, from the environments' own generator.

        Args:
            steps: of how many steps; None: of one, without a dimension for it. On a GPU the numbers
                of several steps at once are others than those of the same steps one by one.

        Returns:
            Uniform on [0, 1), float32 ``[envs, noise_size]`` or ``[steps, envs, noise_size]``.
        """
        shape = (self.num_envs, self.noise_size)
        return torch.rand(
            shape if steps is None else (steps, *shape),
            generator=self._generator,
            device=self.device,
            dtype=torch.float32,
        )

    @property
    def state(self) -> State:
        """A copy of where the environments are; setting it moves them, into a copy.

        Raises:
            InvalidValue: if `reset` was never called, or the new state is of another shape or
                device.
            InvalidType: if the new state has other dtypes.
        """
        return self._own(self._current())

    @state.setter
    def state(self, state: State) -> None:
        self._physics, self._steps = self._own(State(*state))

    def state_dict(self) -> dict[str, Any]:
        """Physical states, step counters and the generator's state, as tensors.

        The former two are None before the first reset.
        """
        started = self._physics is not None
        physics, steps = self.state if started else (None, None)
        return {"physics": physics, "steps": steps, "generator": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`, in the middle of its episodes, bit for bit.

        Raises:
            MissingKey, InvalidValue, InvalidType: if it is of other environments or of another kind
                of device; nothing is changed then.
        """
        name = type(self).__name__
        same_keys(state, ("physics", "steps", "generator"), owner=name)
        generator = torch.Generator(self.device)
        try:
            generator.set_state(state["generator"].cpu())
        except (AttributeError, RuntimeError, TypeError):
            raise InvalidValue(
                f"the generator's state for {name} on {self.device} is of another kind: expected "
                "one from the same kind of device."
            ) from None
        physics, steps = state["physics"], state["steps"]
        if physics is not None or steps is not None:
            physics, steps = self._own(State(self._moved(physics), self._moved(steps)))
        self._physics, self._steps, self._generator = physics, steps, generator

    # ------------------------------------------------------------------ checks

    def _current(self) -> State:
        if self._physics is None or self._steps is None:
            raise InvalidValue(
                f"{type(self).__name__} has not begun an episode: expected reset() first, without "
                "a mask."
            )
        return State(self._physics, self._steps)

    def _own(self, state: State) -> State:
        """Copy a state that fits these environments."""
        shapes = ((self.num_envs, self.physics_size), (self.num_envs,))
        dtypes = (torch.float32, torch.int32)
        for field, part, shape, dtype in zip(State._fields, state, shapes, dtypes, strict=True):
            self._check(f"{field} of the state", part, shape, (dtype,))
        return State(state.physics.detach().clone(), state.steps.detach().clone())

    def _moved(self, value: Any) -> Any:
        return value.to(self.device) if isinstance(value, Tensor) else value

    def _check_actions(self, actions: Any) -> None:
        space = self.single_action_space
        discrete = isinstance(space, gym.spaces.Discrete)
        dtypes = (torch.int64, torch.int32) if discrete else (torch.float32,)
        self._check("actions", actions, (self.num_envs, *(space.shape or ())), dtypes)

    def _reset_mask(self, options: Mapping[str, Any] | None) -> Tensor | None:
        for option in options or ():
            if option not in _OPTIONS:
                raise InvalidValue(
                    f"unknown option {option!r}{did_you_mean(option, _OPTIONS)} in "
                    f"{type(self).__name__}.reset: expected {', '.join(_OPTIONS)}."
                )
        mask: Tensor | None = (options or {}).get("reset_mask")
        if mask is not None:
            self._check("reset_mask", mask, (self.num_envs,), (torch.bool,))
            self._current()
        return mask

    def _check(
        self, what: str, value: Any, shape: tuple[int, ...], dtypes: tuple[torch.dtype, ...]
    ) -> None:
        fits = isinstance(value, Tensor) and value.dtype in dtypes
        if fits and value.shape == shape and value.device == self.device:
            return
        given = type(value).__name__
        if isinstance(value, Tensor):
            given = f"{value.dtype} {[*value.shape]} on {value.device}"
        wanted = " or ".join(map(str, dtypes))
        error = InvalidValue if fits else InvalidType
        raise error(
            f"{what} for {type(self).__name__}: got {given}, expected {wanted} {[*shape]} on "
            f"{self.device}."
        )


def _checked_seed(seed: Any) -> int:
    try:
        number = operator.index(seed)
    except TypeError:
        raise InvalidType(
            f"seed={seed!r}: expected one integer, which all environments are seeded from."
        ) from None
    if not 0 <= number < 2**64:
        raise InvalidValue(f"seed={number}: expected an integer from 0 to 2**64 - 1.")
    return number
