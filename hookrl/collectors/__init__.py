"""Sources of batches."""

from hookrl.collectors.base import Collector
from hookrl.collectors.episodes import EpisodeResults, evaluation_seeds, run_episodes
from hookrl.collectors.normalize import ObservationNormalizer
from hookrl.collectors.overlapped import OverlappedCollector
from hookrl.collectors.tensor import TensorCollector
from hookrl.collectors.vector import VectorCollector

__all__ = [
    "Collector",
    "EpisodeResults",
    "ObservationNormalizer",
    "OverlappedCollector",
    "TensorCollector",
    "VectorCollector",
    "evaluation_seeds",
    "run_episodes",
]
