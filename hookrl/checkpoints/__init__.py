"""Checkpoints: a codec, two formats, and places that survive a crash.

They encode state and don't know whose.
"""

from hookrl.checkpoints.codec import decode, encode
from hookrl.checkpoints.manifest import CorruptCheckpoint, Manifest
from hookrl.checkpoints.single import BACKENDS, SingleCheckpoint, chosen_backend, load, save
from hookrl.checkpoints.store import CheckpointStore

__all__ = [
    "BACKENDS",
    "CheckpointStore",
    "CorruptCheckpoint",
    "Manifest",
    "SingleCheckpoint",
    "chosen_backend",
    "decode",
    "encode",
    "load",
    "save",
]
