"""Collecting the next batch while the last one is learned from, at a policy lag of one batch.

A thread steps the environments and acts by a copy of the policy, made when it begins, so that the
trained parameters may change meanwhile. When that is follows from the order of batches alone, never
from how fast the thread is: two equal runs are equal to the bit.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from concurrent.futures import Future, wait
from typing import Any

import torch
from tensordict import TensorDict

from hookrl.collectors.actors import TensorDictActor
from hookrl.collectors.base import Collector
from hookrl.collectors.vector import VectorCollector
from hookrl.envs.snapshots import ReplayDiffers
from hookrl.errors import InvalidType
from hookrl.graph import tracing
from hookrl.state import same_keys


class OverlappedCollector(Collector):
    """Collects each batch in a thread, beginning it when the one before is handed out.

    What is handed out is therefore one batch behind: a batch is acted by the policy as it was
    before the batch ahead of it was learned from, always (the first two by the policy as it was at
    the start). Off-policy learning does not mind. PPO corrects for it: batches of a policy that
    judges actions, as `hookrl.models.ActorCritic` does, hold ``action_log_prob`` ``[envs, time]``
    of the policy that acted. When training ends, one more batch was collected than learned from.

    Args:
        collector: collects, and is this one's from now on. Its policy is copied for each batch; its
            transform as well, so that `transform` shows the state behind the batch that was handed
            out last.

    Raises:
        InvalidType: for another kind of collector, a policy that takes TensorDicts, since those
            draw from the generators of the process, which a thread would do at times of its own, or
            one that has no copies.
    """

    policy_lag = 1
    """Batches between the policy that acts and the one that learns."""

    def __init__(self, collector: VectorCollector) -> None:
        if not isinstance(collector, VectorCollector):
            raise InvalidType(
                f"an OverlappedCollector of a {type(collector).__name__}: expected a "
                "VectorCollector."
            )
        if isinstance(collector.actor, TensorDictActor):
            raise InvalidType(
                f"the policy of an OverlappedCollector is a {type(collector.policy).__name__} that "
                "takes TensorDicts and draws from the generators of the process, which a thread "
                "would do at any time: expected a hookrl model, or None for random actions."
            )
        super().__init__(collector.num_envs, collector.frames_per_batch)
        self.collector = collector
        self.policy = collector.policy
        self.transform = collector.transform
        """What the policy sees of observations, as it was behind the last batch."""
        collector.transform = copy.deepcopy(self.transform)
        self._policy_now()  # if it has no copies, here
        self._in_flight: Future[TensorDict] | None = None

    @property
    def exact_resume(self) -> str:
        """As of the collector: "exact", "replayed", "impossible" or "off"."""
        return self.collector.exact_resume

    def set_seed(self, seed: int) -> None:
        """Seed the policy's noise and every environment; a batch in flight is forgotten."""
        self._wait()
        self._in_flight = None
        self.collector.set_seed(seed)

    def _collect(self) -> TensorDict:
        """Hand out the batch in flight and begin the next.

        Raises:
            Exception: what collecting it raised, with the traceback of the thread; the next call
                goes on from where the environments are then.
        """
        if self._in_flight is None:
            _copy_state(self.transform, self.collector.transform)
            self._in_flight = self._begin(self._policy_now())
        self._wait()
        policy = self._policy_now()
        landed, self._in_flight = self._in_flight, None
        batch = landed.result()
        _copy_state(self.collector.transform, self.transform)
        self._in_flight = self._begin(policy)
        return batch

    def _begin(self, policy: Any) -> Future[TensorDict]:
        """Collect a batch in a thread, by a policy that nobody else has."""
        self.collector.act_by(policy)
        future = Future[TensorDict]()

        def work() -> None:
            try:
                torch.set_num_threads(torch.get_num_threads())  # a new thread takes it up late
                with tracing:
                    future.set_result(self._collected_by(policy))
            except BaseException as error:
                future.set_exception(error)

        # No daemon: a process that ends lets it finish. It treats denormals as this one does.
        threading.Thread(target=work, name="collector").start()
        return future

    def _collected_by(self, policy: Any) -> TensorDict:
        batch = self.collector.collect()
        if hasattr(policy, "evaluate_actions"):
            flat = batch.reshape(-1)
            with torch.no_grad():
                log_prob, *_ = policy.evaluate_actions(flat["observation"], flat["action"])
            batch["action_log_prob"] = log_prob.view(batch.shape)
        return batch

    def _wait(self) -> None:
        """Wait until no thread is collecting; an interrupt leaves it at that."""
        if self._in_flight is not None:
            wait([self._in_flight])

    def _policy_now(self) -> Any:
        try:
            return copy.deepcopy(self.policy)
        except (TypeError, RuntimeError) as error:
            raise InvalidType(
                f"the policy of an OverlappedCollector ({type(self.policy).__name__}) has no "
                f"copies ({error}): expected one that copy.deepcopy takes."
            ) from error

    def state_dict(self) -> dict[str, Any]:
        """Wait for the batch in flight; return it, what the next one depends on, the transform.

        Raises:
            Exception: what collecting it raised; there is nothing to go on from.
        """
        batch = None if self._in_flight is None else self._in_flight.result().clone().to_dict()
        state = {"batch": batch, "collector": self.collector.state_dict()}
        if self.transform is not None:
            state["transform"] = self.transform.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore `state_dict`; the environments go on as `VectorCollector.load_state_dict` says.

        Raises:
            MissingKey, InvalidValue: if the state is of another collector; nothing is changed then.
            ReplayDiffers: as for the collector.
        """
        expected = ("batch", "collector", *(() if self.transform is None else ("transform",)))
        same_keys(state, expected, owner="OverlappedCollector")
        entries = state["batch"]
        batch = None
        if entries is not None:
            batch = TensorDict(entries, batch_size=entries["done"].shape[:-1]).clone()
        if self.transform is not None:
            copy.deepcopy(self.transform).load_state_dict(state["transform"])  # if it refuses, here
        self._wait()
        try:
            self.collector.load_state_dict(state["collector"])
        except ReplayDiffers:  # the environments have begun anew
            self._in_flight = None
            raise
        if self.transform is not None:
            self.transform.load_state_dict(state["transform"])
        self._in_flight = None
        if batch is not None:
            self._in_flight = Future()
            self._in_flight.set_result(self.collector.to_device(batch))

    def shutdown(self) -> None:
        """Wait for the batch in flight, whose failure no longer matters; close the environments."""
        super().shutdown()
        self._wait()
        self.collector.shutdown()


def _copy_state(source: Any, target: Any) -> None:
    """Bring one transform to the state of another, if there are any."""
    if source is not None:
        # A copy: a state may be the arrays themselves, which the thread goes on writing.
        target.load_state_dict(copy.deepcopy(source.state_dict()))
