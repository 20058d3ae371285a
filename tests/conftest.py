"""One torch thread, since tests run side by side; no deadlines, since machines are busy."""

import pytest
import torch
from hypothesis import settings

from hookrl import graph

torch.set_num_threads(1)
settings.register_profile("hookrl", deadline=None)
settings.load_profile("hookrl")


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are traced but run operation by operation: compiling one takes seconds."""
    monkeypatch.setattr(graph, "_compiled", lambda module, examples: lambda inputs: module(*inputs))


@pytest.fixture(params=["interpreted", "compiled"])
def either_way(request: pytest.FixtureRequest) -> None:
    """The test is run twice: with graphs that are interpreted, and with compiled ones."""
    if request.param == "interpreted":
        request.getfixturevalue("interpreted")
