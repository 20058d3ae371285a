"""Replay: transitions of whole batches, stored once, drawn uniformly or by priority."""

from hookrl.replay.buffer import ReplayBuffer
from hookrl.replay.prioritized import PrioritizedSampler
from hookrl.replay.samplers import Sampler, UniformSampler
from hookrl.replay.sum_tree import SumTree

__all__ = ["PrioritizedSampler", "ReplayBuffer", "Sampler", "SumTree", "UniformSampler"]
