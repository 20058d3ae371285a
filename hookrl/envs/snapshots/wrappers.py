"""Wrappers that need a word more than that their attributes are their state."""

from __future__ import annotations

from typing import Any

from hookrl.envs.snapshots.attributes import Attributes


class Checker(Attributes):
    """Gymnasium's passive checker, which compares the data of an episode's first steps."""

    def __init__(self) -> None:
        super().__init__(constants=("_previous_data",))

    def restore(self, layer: Any, state: dict[str, Any]) -> None:
        """Go on without that comparison, whose data may be anything."""
        super().restore(layer, state)
        layer.checked_data_reuse = True


VIDEO = Attributes(
    constants=("recording", "recorded_frames", "render_history", "_video_name", "frame_list")
)
"""Frames of a video are no state; what counts episodes and steps for its triggers is."""

EPISODE_STATISTICS = Attributes(clocks=("episode_start_time", "episode_start_times"))
"""Durations go on across processes; the time in between does not count."""

ATARI = Attributes(constants=("ale",))
"""`AtariPreprocessing` holds on to the emulator inside."""
