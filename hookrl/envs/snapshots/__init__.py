"""Environments in the middle of an episode: what they are like, written down, and back again.

A killed run goes on bit for bit only if its environments do. What that takes differs from family to
family; `snapshot_kind` says what can be done for an environment, and nothing is done silently.
"""

from hookrl.envs.snapshots.attributes import Attributes
from hookrl.envs.snapshots.chain import check, declare, prepare, restore, snapshot_kind, take
from hookrl.envs.snapshots.family import Declaration, Exact, Impossible, Kind, Replayed
from hookrl.envs.snapshots.recorder import Recorder, ReplayDiffers
from hookrl.envs.snapshots.registry import register_family
from hookrl.envs.snapshots.trial import SnapshotCheckError, check_environment
from hookrl.envs.snapshots.workers import WorkerEnv

__all__ = [
    "Attributes",
    "Declaration",
    "Exact",
    "Impossible",
    "Kind",
    "Recorder",
    "ReplayDiffers",
    "Replayed",
    "SnapshotCheckError",
    "WorkerEnv",
    "check",
    "check_environment",
    "declare",
    "prepare",
    "register_family",
    "restore",
    "snapshot_kind",
    "take",
]
