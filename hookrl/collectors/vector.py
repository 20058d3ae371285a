"""A collector over vector environments: steps them with a policy and yields batches, forever.

The rollout does only what acting needs. Values and log-probabilities of the batch are computed
afterwards, in one pass, by a hook.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import numpy as np
import torch
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from tensordict import TensorDict

from hookrl.collectors.actors import RandomActor, as_actor
from hookrl.collectors.base import Collector
from hookrl.collectors.resume import EnvironmentState, ExactResume
from hookrl.collectors.storage import BatchStorage, TrajectoryIds
from hookrl.envs.snapshots.values import pack, unpack
from hookrl.envs.spaces import Leaf, action_fitter, at, leaves, nest, own_copy, seed_spaces
from hookrl.envs.sync import SerialVectorEnv
from hookrl.envs.vector import EnvLike, make_vector_env
from hookrl.errors import InvalidValue, MissingKey
from hookrl.models.acting import Actor
from hookrl.state import restored, same_keys, snapshot

_SEED_BOUND = 2**31
"""Environments get seeds below this, which the C integers of simulators hold."""


class ObservationTransform(Protocol):
    """Changes what the policy sees; part of the collector, and of its state."""

    def __call__(self, observation: Any) -> Any:
        """Transform a vector observation seen in training."""
        ...

    def frozen(self, observation: Any) -> Any:
        """Transform one without learning from it."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state."""
        ...


class VectorCollector(Collector):
    """Collects batches of shape ``[envs, time]`` from a vector environment.

    Every batch is fresh memory. ``("next", "observation")`` of an episode's last step is its true
    final observation. Where an environment spends frames on resets (autoreset mode NEXT_STEP)
    these are marked False in ``("collector", "mask")``: never counted, never learned from.

    Args:
        env: an environment id, a function, a list of functions, or a ready vector environment,
            whose tensors may be NumPy's or torch's; see `hookrl.envs.make_vector_env`.
        policy: who acts; see `hookrl.collectors.actors.as_actor`. None: random actions.
        frames_per_batch: steps in a batch, over all environments; a multiple of their number.
        num_envs: copies to make of an id or function.
        env_kwargs: arguments for an environment made from its id.
        transform: applied to observations before the policy sees them.
        init_random_frames: act uniformly at random until so many steps were collected.
        device: where batches are put; None: where the environment's tensors are.
        seed: seeds the environments and the policy's noise; `set_seed` does the same.
        exact_resume: whether environments are resumed in the middle of their episodes: "require",
            "best" or "off"; see `hookrl.collectors.resume.ExactResume`. Unless it is off, a
            `Recorder` is put around environments that can only be replayed.

    Raises:
        InvalidType: for spaces or objects that are not supported.
        InvalidValue: for an unknown id, a batch that environments cannot share evenly, a ready
            vector environment that does not say how it resets, or one that cannot be resumed
            exactly although that is required.
    """

    def __init__(
        self,
        env: EnvLike,
        policy: Any = None,
        *,
        frames_per_batch: int,
        num_envs: int = 1,
        env_kwargs: Mapping[str, Any] | None = None,
        transform: ObservationTransform | None = None,
        init_random_frames: int = 0,
        device: torch.device | str | None = None,
        seed: int | None = None,
        exact_resume: ExactResume = "best",
    ) -> None:
        self.env = make_vector_env(env, num_envs, env_kwargs)
        super().__init__(self.env.num_envs, frames_per_batch)
        self.observation_leaves = leaves(self.env.single_observation_space, "observation")
        self.action_leaves = leaves(self.env.single_action_space, "action")
        self.act_by(policy)
        self.init_random_frames = init_random_frames
        self._random = RandomActor(self.env.single_action_space)
        self._collected = 0
        self.transform = transform
        self.device = None if device is None else torch.device(device)
        self._to_env = action_fitter(self.action_leaves)
        self._autoreset = _autoreset_mode(self.env)
        # An environment inside a wrapper is stepped by the wrapper.
        self._writes = type(self.env) is SerialVectorEnv and self.env.writes
        self._ids = TrajectoryIds(self.num_envs)
        self._observation: Any = None
        """What the policy sees next; None: the environments start afresh."""
        self._over: Any = None
        """Which environments show the end of an episode (NEXT_STEP only)."""
        self._env_device = torch.device("cpu")
        self._environments = EnvironmentState(self.env, exact_resume)
        self.rng = np.random.default_rng()
        if seed is not None:
            self.set_seed(seed)

    @property
    def exact_resume(self) -> str:
        """How a resumed run goes on: "exact", "replayed", "impossible" or "off".

        See `hookrl.envs.snapshots.Kind`; "off" if that was asked for.
        """
        return self._environments.kind

    def act_by(self, policy: Any) -> None:
        """Collect the following batches with another policy; see `as_actor` for what it may be."""
        self.policy = policy
        self.actor = as_actor(policy, self.env.single_action_space)

    def set_seed(self, seed: int) -> None:
        """Seed the policy's noise and every environment, which start afresh."""
        self.rng = np.random.default_rng(seed)
        self._observation = None

    def _collect(self) -> TensorDict:
        if self._observation is None:
            self._start()
        steps = self.steps_per_env
        storage = BatchStorage(
            self.observation_leaves,
            self.action_leaves,
            self.num_envs,
            steps,
            self._env_device,
            use_numpy=self._use_numpy,
        )
        actor = self._random if self._collected < self.init_random_frames else self.actor
        self._collected += steps * self.num_envs
        actor.refresh()
        noise = actor.draw_noise(self.rng, (steps, self.num_envs))
        in_place = self._writes and self.transform is None
        roll = self._roll_in_place if in_place else self._roll
        self._observation = roll(storage, actor, noise)
        starts_after = done_at = storage.done
        resets = None
        if self._autoreset == AutoresetMode.NEXT_STEP:
            # The step after an episode's last only resets: its action and reward mean nothing, and
            # the episode that it opens starts with the step behind it.
            before = self._over[:, None]
            join = np.concatenate if self._use_numpy else torch.cat
            starts_after = resets = join([before, done_at[:, :-1]], 1)
            self._over = done_at[:, -1] | False  # a copy
        if not self._use_numpy:
            starts_after = starts_after.cpu().numpy()
        batch = storage.finish(self._observation, self._ids.assign(starts_after), resets)
        return batch if self.device is None else self.to_device(batch)

    def _roll(self, storage: BatchStorage, actor: Actor, noise: Any) -> Any:
        """Step the environments through the batch; return a copy of what they show then."""
        env, transform = self.env, self.transform
        observation = self._observation
        for t in range(self.steps_per_env):
            # What is seen is copied at once: the environment may reuse its memory for the next.
            action = actor(storage.write_observation(t, observation), noise[t])
            storage.write_action(t, action)
            observation, reward, terminated, truncated, info = env.step(self._to_env(action))
            storage.write_outcome(t, reward, terminated, truncated)
            if self._autoreset != AutoresetMode.NEXT_STEP:
                done = terminated | truncated
                if self._any(done):
                    observation = self._end_episodes(storage, t, observation, done, info)
            if transform is not None:
                observation = transform(observation)
        return own_copy(observation, self.observation_leaves)

    def _roll_in_place(self, storage: BatchStorage, actor: Actor, noise: Any) -> np.ndarray:
        """The same with environments that write into the batch by themselves."""
        env, to_env = cast(SerialVectorEnv, self.env), self._to_env
        seen, actions, outcomes = storage.rows(self._observation)
        for t, outcome in enumerate(outcomes):
            action = actions[t] = actor(seen[t], noise[t])
            following = seen[t + 1]
            if env.step_into(to_env(action), following, *outcome):
                done = outcome[1] | outcome[2]
                begun = self._end_episodes(storage, t, following, done, {})
                following[done] = begun[done]
        return seen[-1]

    def to_device(self, batch: TensorDict) -> TensorDict:
        """Put a batch where batches belong: on `device`, or where the environment's tensors are."""
        device = self._env_device if self.device is None else self.device
        # What is on its way to the host must be waited for.
        return batch.to(device, non_blocking=device.type != "cpu")

    def _start(self) -> None:
        """Reset every environment, each by a seed of its own."""
        seed: Any = self.rng.integers(_SEED_BOUND, size=self.num_envs).tolist()
        if not isinstance(self.env.unwrapped, SyncVectorEnv | AsyncVectorEnv):
            seed = seed[0]  # such environments derive one seed per copy themselves
        seed_spaces(self.env, seed)
        raw, _ = self.env.reset(seed=seed)
        self._take_up(raw)
        if self._use_numpy:
            self._over = np.zeros(self.num_envs, dtype=np.bool_)
        else:
            self._over = torch.zeros(self.num_envs, dtype=torch.bool, device=self._env_device)
        self._ids.restart()
        seen = raw if self.transform is None else self.transform(raw)
        self._observation = own_copy(seen, self.observation_leaves)

    def _take_up(self, observation: Any) -> None:
        """Speak what the environments speak: NumPy, or torch on their device."""
        first = at(observation, self.observation_leaves[0].path)
        self._use_numpy = not isinstance(first, torch.Tensor)
        self._env_device = torch.device("cpu") if self._use_numpy else first.device
        # A quarter of the time of the method `any`, on a handful.
        self._any: Callable[[Any], Any] = np.count_nonzero if self._use_numpy else torch.any

    def _end_episodes(self, storage: BatchStorage, t: int, raw: Any, done: Any, info: Any) -> Any:
        """Keep the last observations of episodes that ended; return where the next step starts."""
        envs = done.nonzero()[0] if self._use_numpy else done.nonzero()[:, 0]
        if self._autoreset == AutoresetMode.DISABLED:
            final = _rows(raw, self.observation_leaves, envs)
            raw, _ = self.env.reset(options={"reset_mask": done})
        elif "final_obs" in info:
            final = _final_rows(info["final_obs"], self.observation_leaves, envs)
        else:
            raise MissingKey(
                f"{self.env} ended an episode in autoreset mode SAME_STEP, but info has "
                f"{', '.join(info) or 'nothing'}: expected the last observation in 'final_obs'."
            )
        seen = final if self.transform is None else self.transform.frozen(final)
        storage.write_final(t, envs, own_copy(seen, self.observation_leaves))
        return raw

    def state_dict(self) -> dict[str, Any]:
        """Random generator, counts, the transform's state, and the episodes that are under way."""
        state = {
            "rng": snapshot(self.rng),
            "next_traj_id": self._ids.next_id,
            "collected": self._collected,
            "episodes": None if self._observation is None else self._episodes(),
        }
        if self.transform is not None:
            state["transform"] = self.transform.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore `state_dict`.

        The environments go on in the middle of their episodes, if `exact_resume` says so; else they
        begin new ones, seeded by the generator.

        Raises:
            MissingKey, InvalidValue: if the state is of another collector; nothing is changed then.
            ReplayDiffers: if exact resuming is required and fails; every environment begins a new
                episode then.
        """
        transform = self.transform
        expected = (
            *("rng", "next_traj_id", "collected", "episodes"),
            *(() if transform is None else ("transform",)),
        )
        same_keys(state, expected, owner="VectorCollector")
        rng = restored(state["rng"], self.rng)
        episodes = state["episodes"]
        if episodes is not None:
            self._environments.check(episodes["environments"])
        if transform is not None:
            transform.load_state_dict(state["transform"])
        self.rng = rng
        self._ids.next_id = int(state["next_traj_id"])
        self._collected = int(state["collected"])
        self._observation = None
        if episodes is not None and self._environments.restore(episodes["environments"]):
            self._observation = unpack(episodes["observation"])
            self._take_up(self._observation)
            self._over = unpack(episodes["over"])
            self._ids.current = unpack(episodes["traj_ids"])

    def _episodes(self) -> dict[str, Any]:
        """What is needed to go on in the middle of the episodes."""
        environments = self._environments.take()
        if environments is None:
            return {"environments": None}
        return {
            "environments": environments,
            "observation": pack(self._observation),
            "over": pack(self._over),
            "traj_ids": pack(self._ids.current),
        }

    def shutdown(self) -> None:
        """Close the environments."""
        super().shutdown()
        self.env.close()


def _autoreset_mode(env: VectorEnv[Any, Any, Any]) -> AutoresetMode:
    """When `env` resets; guessing wrong would silently corrupt what is learned from."""
    mode = env.metadata.get("autoreset_mode")
    try:
        return AutoresetMode(mode)
    except ValueError:
        raise InvalidValue(
            f"{env} has metadata['autoreset_mode']={mode!r}: expected it to say how it resets, "
            f"one of {', '.join(map(str, AutoresetMode))}."
        ) from None


def _rows(raw: Any, observation_leaves: list[Leaf], envs: Any) -> Any:
    """Copies of the rows `envs` of a vector observation."""
    return nest([(leaf.path, at(raw, leaf.path)[envs]) for leaf in observation_leaves])


def _final_rows(final: Any, observation_leaves: list[Leaf], envs: Any) -> Any:
    """The same from ``info["final_obs"]``: one object per environment, or a vector observation."""
    if isinstance(final, np.ndarray) and final.dtype == object:
        picked = [final[env] for env in envs]
        return nest(
            [
                (leaf.path, np.stack([np.asarray(at(row, leaf.path)) for row in picked]))
                for leaf in observation_leaves
            ]
        )
    return _rows(final, observation_leaves, envs)
