"""Checkpoints: a codec and two backends; they encode state and don't know whose."""

from hookrl.checkpoints.codec import decode, encode
from hookrl.checkpoints.files import BACKENDS, chosen_backend, load, save

__all__ = ["BACKENDS", "chosen_backend", "decode", "encode", "load", "save"]
