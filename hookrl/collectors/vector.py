"""A collector over vector environments: steps them with a policy and yields batches, forever.

The rollout does only what acting needs. Values and log-probabilities of the batch are computed
afterwards, in one pass, by a hook.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from tensordict import TensorDict

from hookrl.collectors.actors import as_actor
from hookrl.collectors.storage import BatchStorage, TrajectoryIds
from hookrl.envs.spaces import Leaf, action_fitter, at, leaves, nest, own_copy
from hookrl.envs.vector import EnvLike, make_vector_env
from hookrl.errors import InvalidValue, MissingKey
from hookrl.state import restored, same_keys, snapshot


class ObservationTransform(Protocol):
    """Changes what the policy sees; part of the collector, and of its state."""

    def __call__(self, observation: Any) -> Any:
        """Transform a vector observation seen in training; the result is memory of its own."""
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


class VectorCollector:
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
        device: where batches are put; None: where the environment's tensors are.
        seed: seeds the environments and the policy's noise; `set_seed` does the same.

    Raises:
        InvalidType: for spaces or objects that are not supported.
        InvalidValue: for an unknown id or a batch that environments cannot share evenly.
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
        device: torch.device | str | None = None,
        seed: int | None = None,
    ) -> None:
        self.env = make_vector_env(env, num_envs, env_kwargs)
        self.num_envs = self.env.num_envs
        self.frames_per_batch = frames_per_batch
        self.steps_per_env, uneven = divmod(frames_per_batch, self.num_envs)
        if uneven or frames_per_batch < 1:
            raise InvalidValue(
                f"frames_per_batch={frames_per_batch} for {self.num_envs} environments: expected "
                "a positive multiple of their number."
            )
        self.observation_leaves = leaves(self.env.single_observation_space, "observation")
        self.action_leaves = leaves(self.env.single_action_space, "action")
        self.actor = as_actor(policy, self.env.single_action_space)
        self.transform = transform
        self.device = None if device is None else torch.device(device)
        self._to_env = action_fitter(self.action_leaves)
        self._autoreset = self.env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        self._ids = TrajectoryIds(self.num_envs)
        self._observation: Any = None
        self._over: Any = None
        self._env_seeds: list[int] | None = None
        self.rng = np.random.default_rng()
        if seed is not None:
            self.set_seed(seed)

    @property
    def exact_resume(self) -> str:
        """Environment states are not part of the collector's state."""
        return "impossible"

    def set_seed(self, seed: int) -> None:
        """Seed the policy's noise and every environment, which start afresh."""
        noise, *envs = np.random.SeedSequence(seed).spawn(1 + self.num_envs)
        self.rng = np.random.default_rng(noise)
        self._env_seeds = [int(child.generate_state(1)[0] >> 1) for child in envs]
        self._observation = None

    def __iter__(self) -> Iterator[TensorDict]:
        """Yield batches for ever; iterating again goes on where the last one ended."""
        while True:
            yield self.collect()

    def collect(self) -> TensorDict:
        """Step every environment `steps_per_env` times and return the batch."""
        if self._observation is None:
            self._start()
        steps, env = self.steps_per_env, self.env
        storage = BatchStorage(
            self.observation_leaves,
            self.action_leaves,
            self.num_envs,
            steps,
            self._env_device,
            use_numpy=self._use_numpy,
        )
        next_step = self._autoreset == AutoresetMode.NEXT_STEP
        boundaries: list[Any] = []
        resets: list[Any] = []
        self.actor.refresh()
        noise = self.actor.draw_noise(self.rng, (steps, self.num_envs))
        observation, over = self._observation, self._over
        for t in range(steps):
            action = self.actor(observation, noise[t])
            storage.write_decision(t, observation, action)
            raw, reward, terminated, truncated, info = env.step(self._to_env(action))
            storage.write_outcome(t, reward, terminated, truncated)
            done = terminated | truncated
            if next_step:
                # A step after the last only resets: its action and reward mean nothing, and the
                # episode that it opens starts with the step behind it.
                resets.append(over)
                boundaries.append(over)
            elif done.any():
                raw = self._end_episodes(storage, t, raw, done, info)
                boundaries.append(done)
            else:
                boundaries.append(done)
            over = done
            observation = self._see(raw)
        self._observation, self._over = observation, over
        batch = storage.finish(observation, _columns(resets) if next_step else None)
        ids = self._ids.assign(_columns(boundaries).cpu().numpy())
        batch["collector", "traj_ids"] = torch.from_numpy(ids).to(self._env_device)
        return batch if self.device is None else batch.to(self.device)

    def _start(self) -> None:
        """Reset every environment, by its own seed if there is one."""
        seed: Any = self._env_seeds
        if seed is not None and not isinstance(self.env.unwrapped, SyncVectorEnv | AsyncVectorEnv):
            seed = seed[0]  # such environments derive one seed per copy themselves
        raw, _ = self.env.reset(seed=seed)
        first = at(raw, self.observation_leaves[0].path)
        self._use_numpy = not isinstance(first, torch.Tensor)
        self._env_device = torch.device("cpu") if self._use_numpy else first.device
        self._over = (
            np.zeros(self.num_envs, dtype=bool)
            if self._use_numpy
            else torch.zeros(self.num_envs, dtype=torch.bool, device=self._env_device)
        )
        self._observation = self._see(raw)

    def _see(self, raw: Any) -> Any:
        """What the policy sees of a raw observation; never the environment's own memory."""
        if self.transform is not None:
            return self.transform(raw)
        return own_copy(raw, self.observation_leaves)

    def _end_episodes(self, storage: BatchStorage, t: int, raw: Any, done: Any, info: Any) -> Any:
        """Keep the last observations of episodes that ended; return what the next step starts from."""
        envs = done.nonzero()[0] if self._use_numpy else done.nonzero()[:, 0]
        if self._autoreset == AutoresetMode.DISABLED:
            final = _rows(raw, self.observation_leaves, envs)
            raw, _ = self.env.reset(options={"reset_mask": done})
        elif "final_obs" in info:
            final = _final_rows(info["final_obs"], self.observation_leaves, envs)
        else:
            raise MissingKey(
                f"{self.env} ended an episode in autoreset mode SAME_STEP without info['final_obs']"
                f": expected the episode's last observation there, found {', '.join(info) or 'nothing'}."
            )
        seen = final if self.transform is None else self.transform.frozen(final)
        storage.write_final(t, envs, seen)
        return raw

    def state_dict(self) -> dict[str, Any]:
        """Noise generator, trajectory ids and the transform's state."""
        return {
            "rng": snapshot(self.rng),
            "traj_ids": snapshot(self._ids.current),
            "next_traj_id": self._ids.next_id,
            "transform": self.transform.state_dict() if self.transform is not None else {},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore `state_dict`; the environments begin new episodes."""
        same_keys(state, ("rng", "traj_ids", "next_traj_id", "transform"), owner="VectorCollector")
        if self.transform is not None:
            self.transform.load_state_dict(state["transform"])
        self.rng = restored(state["rng"], self.rng)
        self._ids.current = restored(state["traj_ids"], self._ids.current)
        self._ids.next_id = int(state["next_traj_id"])

    def shutdown(self) -> None:
        """Close the environments."""
        self.env.close()


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


def _columns(steps: list[Any]) -> torch.Tensor:
    """Stack vectors over environments into ``[envs, time]``."""
    if isinstance(steps[0], torch.Tensor):
        return torch.stack(steps, dim=1)
    return torch.from_numpy(np.stack(steps, axis=1))
