"""Evaluates the policy on environments of its own while it is being trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from tensordict.nn import InteractionType
from tensordict.utils import NestedKey

from hookrl.errors import InvalidValue
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.hooks.episode_evaluation import EpisodeEvaluation
from hookrl.hooks.pace import paced
from hookrl.hooks.rollout_evaluation import RolloutEvaluation, is_torchrl_environment
from hookrl.state import integer_seed, same_keys


class Evaluation(Protocol):
    """Lets the policy act on environments of its own."""

    def __call__(self, seed: int) -> dict[str, Any]:
        """Report how it did, from the initial states that belong to `seed`."""
        ...

    def close(self) -> None:
        """Close the environments."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What an evaluation leaves for the next."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore it."""
        ...


class LogValidationReward(TrainerHookBase):
    """Evaluates the policy on separate environments at intervals.

    On gymnasium's environments it plays whole episodes and logs ``eval/…``. On one of torchrl's it
    takes `record_frames` steps, through the ends of episodes, and logs what `log_keys` and
    `out_keys` say. Each kind has arguments of its own; those of the other are refused.

    Every evaluation starts from the same initial states, so that two differ by the policy alone;
    their seeds come from a branch of the seed tree that training never uses.

    Args:
        record_interval: frames between evaluations.
        record_frames: torchrl only, and needed there: steps of each evaluation.
        frame_skip: torchrl only: the mean reward of a step is divided by it.
        policy_exploration: the policy; see `hookrl.collectors.actors.as_actor`.
        environment: never the training one: an environment id, a function that makes an
            environment, a list of functions, or an environment of torchrl.
        exploration_type: how the policy acts; with gymnasium DETERMINISTIC or RANDOM.
        log_keys: torchrl only: entries of the steps whose mean is logged; None: the reward.
        out_keys: torchrl only: their names; None: ``r_evaluation`` for the reward, which with
            ``total_`` in front is its sum over a trajectory.
        suffix: torchrl only: of what the environment's transforms write, such as videos.
        log_pbar: show the metrics on the progress bar.
        recorder: torchrl's old name of `environment`, which is refused.
        episodes: gymnasium only: episodes in each evaluation; None: 10.
        num_envs: gymnasium only: how many play side by side; None: 10.
        env_kwargs: gymnasium only: arguments for an environment made from its id.
        view: gymnasium only: what the policy sees of an observation, such as a normaliser's
            ``frozen``.

    Raises:
        InvalidValue: for an interval or number below 1, or an argument of the other kind of
            environment.
        InvalidType: for a ready vector environment, whose seeds could not be set one by one, or a
            policy that cannot act.
    """

    def __init__(
        self,
        *,
        record_interval: int,
        record_frames: int | None = None,
        frame_skip: int = 1,
        policy_exploration: Any,
        environment: Any = None,
        exploration_type: InteractionType = InteractionType.DETERMINISTIC,
        log_keys: Sequence[NestedKey] | None = None,
        out_keys: Mapping[NestedKey, str] | None = None,
        suffix: str | None = None,
        log_pbar: bool = False,
        recorder: Any = None,
        episodes: int | None = None,
        num_envs: int | None = None,
        env_kwargs: dict[str, Any] | None = None,
        view: Callable[[Any], Any] | None = None,
    ) -> None:
        if record_interval < 1:
            raise InvalidValue(
                f"record_interval={record_interval} of LogValidationReward: expected at least 1."
            )
        if recorder is not None or environment is None:
            raise InvalidValue(
                "LogValidationReward has no environment to evaluate on: expected environment=, "
                "whose old name was recorder."
            )
        self.record_interval = record_interval
        self.log_pbar = log_pbar
        self._evaluation: Evaluation
        if is_torchrl_environment(environment):
            _refuse(
                "an environment of torchrl",
                episodes=(episodes, "record_frames, which counts steps"),
                num_envs=(num_envs, "an environment with a batch size, such as SerialEnv"),
                env_kwargs=(env_kwargs, "an environment that was made with them"),
                view=(view, "an environment with a transform"),
            )
            if record_frames is None:
                raise InvalidValue(
                    "LogValidationReward on an environment of torchrl takes record_frames steps "
                    "each time: expected record_frames=."
                )
            self._evaluation = RolloutEvaluation(
                environment,
                policy_exploration,
                steps=record_frames,
                frame_skip=frame_skip,
                exploration_type=exploration_type,
                keys=log_keys,
                names=out_keys,
                suffix=suffix,
            )
        else:
            _refuse(
                "environments of gymnasium",
                record_frames=(record_frames, "episodes, which are played to their end"),
                frame_skip=(None if frame_skip == 1 else frame_skip, "returns of whole episodes"),
                log_keys=(log_keys, "eval/mean_reward, eval/std_reward and eval/mean_length"),
                out_keys=(out_keys, "eval/mean_reward, eval/std_reward and eval/mean_length"),
                suffix=(suffix, "an environment that records itself"),
            )
            self._evaluation = EpisodeEvaluation(
                environment,
                policy_exploration,
                exploration_type=exploration_type,
                episodes=10 if episodes is None else episodes,
                num_envs=10 if num_envs is None else num_envs,
                env_kwargs=env_kwargs,
                view=view,
            )
        self.set_seed(np.random.SeedSequence())

    def set_seed(self, seed_sequence: np.random.SeedSequence) -> None:
        """Choose the initial states of all evaluations."""
        self._seed = integer_seed(seed_sequence)

    def register(self, trainer: TrainerLike, name: str = "validation") -> None:
        """Hang the hook on ``post_steps_log``."""
        trainer.register_op("post_steps_log", self, name=name)
        trainer.register_module(name, self)

    @paced(every_frames="record_interval")
    def __call__(self, batch: Any) -> dict[str, Any]:
        """Evaluate, if so many frames were collected since the last time."""
        return self.evaluate()

    def evaluate(self) -> dict[str, Any]:
        """Evaluate now."""
        return {**self._evaluation(self._seed), "log_pbar": self.log_pbar}

    def teardown(self, trainer: TrainerLike) -> None:
        """Close the environments."""
        self._evaluation.close()

    def state_dict(self) -> dict[str, Any]:
        """The seed of the initial states, and the state of torchrl's environment."""
        return {"_seed": self._seed, **self._evaluation.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore them.

        Raises:
            MissingKey: if the entries are not those of such a hook; nothing is changed then.
        """
        same_keys(state_dict, self.state_dict(), owner=type(self).__name__)
        self._evaluation.load_state_dict(state_dict)
        self._seed = int(state_dict["_seed"])


def _refuse(kind: str, **arguments: tuple[Any, str]) -> None:
    """Refuse arguments that mean nothing for a kind of environment, and say what does."""
    for name, (value, instead) in arguments.items():
        if value is not None:
            raise InvalidValue(
                f"{name}={value!r} of LogValidationReward means nothing on {kind}: expected "
                f"{instead}."
            )
