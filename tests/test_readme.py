"""What the README shows must run as it stands, only shorter."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n", 1)[0])
def test_a_python_block_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shorter = re.sub(r"total_frames=[\d_]+", "total_frames=2_048", block)
    shorter = re.sub(r"steps_per_env=[\d_]+", "steps_per_env=64", shorter)
    exec(compile(shorter, str(README), "exec"), {"__name__": "readme"})


def test_the_custom_hook_has_fifteen_lines():
    hook = BLOCKS[0].split("class ", 1)[1].split("\n\n\n", 1)[0]
    assert len([line for line in f"class {hook}".splitlines() if line]) <= 15


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text()))
def test_a_link_leads_somewhere(target):
    assert (README.parent / target).exists()
