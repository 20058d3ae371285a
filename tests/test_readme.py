"""What the README shows must run as it stands, only shorter."""

import pytest
from pages import README, blocks, links, shorter

BLOCKS = [block.code for block in blocks(README, "python")]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n", 1)[0])
def test_a_python_block_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(shorter(block), str(README), "exec"), {"__name__": "readme"})


def test_the_custom_hook_has_fifteen_lines():
    hook = BLOCKS[0].split("class ", 1)[1].split("\n\n\n", 1)[0]
    assert len([line for line in f"class {hook}".splitlines() if line]) <= 15


@pytest.mark.parametrize("target", links(README))
def test_a_link_leads_somewhere(target):
    assert (README.parent / target.split("#")[0]).exists()
