"""What the README shows must run as it stands, only shorter."""

from pathlib import Path

import pytest
from pages import MOST, README, blocks, links, shorter

from hookrl.loggers import read_metrics

BLOCKS = [block.code for block in blocks(README, "python")]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n", 1)[0])
def test_a_python_block_trains(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "readme"}
    exec(compile(shorter(block), str(README), "exec"), namespace)
    if "trainer" in namespace:
        assert namespace["trainer"].collected_frames >= MOST["total_frames"]
    else:
        rows = read_metrics(Path(namespace["config"].run_dir, "metrics.csv"))
        assert max(rows["frames"]) >= MOST["total_frames"]


def test_the_custom_hook_has_fifteen_lines():
    hook = BLOCKS[0].split("class ", 1)[1].split("\n\n\n", 1)[0]
    assert len([line for line in f"class {hook}".splitlines() if line]) <= 15


@pytest.mark.parametrize("target", links(README))
def test_a_link_leads_somewhere(target):
    assert (README.parent / target.split("#")[0]).exists()
