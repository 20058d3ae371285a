"""Graphs that are traced but run operation by operation: compiling one takes seconds."""

from __future__ import annotations

import pytest

from hookrl.trainers.captured import graph


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "_compiled", lambda module, examples: module)
