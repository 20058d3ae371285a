"""What ``import hookrl`` gives."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import hookrl


@pytest.mark.parametrize("name", hookrl.__all__)
def test_every_main_name_is_there(name: str) -> None:
    assert getattr(hookrl, name).__name__ == name


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'PPOTrainr'"):
        _ = hookrl.PPOTrainr


def test_names_are_listed_before_they_are_loaded() -> None:
    assert set(hookrl.__all__) <= set(dir(importlib.import_module("hookrl")))


def test_importing_it_imports_no_torch() -> None:
    program = "import sys, hookrl, hookrl.configs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
