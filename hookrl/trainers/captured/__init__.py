"""The optimization step as one graph: traced from the same hooks, compiled, and run as a whole."""

from hookrl.graph import NotCapturable
from hookrl.trainers.captured.auto import captures, check_compile
from hookrl.trainers.captured.step import CapturedStep

__all__ = ["CapturedStep", "NotCapturable", "captures", "check_compile"]
