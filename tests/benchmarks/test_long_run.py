from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

import pytest

from benchmarks.long_run import anonymous_memory, folder_use, main, measure
from benchmarks.long_run_report import summary, verdict


def content(*memory: float, **further: Any) -> dict[str, Any]:
    """What a run saw whose memory was so many MB, evenly over 100,000 frames."""
    step = 100_000 // len(memory)
    samples = [[step * (n + 1), int(1e6 * used), 1000, 2] for n, used in enumerate(memory)]
    return {
        "frames": 100_000,
        "interval": step,
        "max_checkpoints": 2,
        "seconds": 1.0,
        "most_checkpoints": 3,
        "most_bytes": 2000,
        "samples": samples,
        **further,
    }


def test_a_run_is_seen_every_time_a_checkpoint_is_due(tmp_path: Path) -> None:
    found = measure(6 * 1024, 2048, tmp_path / "run")
    assert [frames for frames, *_ in found["samples"]] == [2048, 4096, 6144]
    assert [count for *_, count in found["samples"]] == [0, 1, 2]
    assert found["most_checkpoints"] == 3
    assert found["most_bytes"] > max(size for *_, size, _ in found["samples"]) > 0


def test_memory_is_that_of_this_process() -> None:
    before = anonymous_memory()
    # Mapped by hand: malloc may hand out memory that training left with the process.
    some = mmap.mmap(-1, 50_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for _ in range(50):
        some.write(b"1" * 1_000_000)
    assert 45e6 < anonymous_memory() - before < 55e6
    assert len(some) == 50_000_000


def test_a_folder_is_counted_without_its_links(tmp_path: Path) -> None:
    for name in ("000000000010", "000000000020.1", ".writing"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"12345")
    (tmp_path / "latest").symlink_to("000000000010")
    assert folder_use(tmp_path) == (2, 15)
    assert folder_use(tmp_path / "missing") == (0, 0)


def test_memory_that_stays_is_passed_whatever_the_first_tenth_was() -> None:
    assert verdict(content(10.0, *[100.0] * 9))
    assert "grown by 0.0 MB" in summary(content(10.0, *[100.0] * 9))[1]


def test_memory_that_grows_is_not() -> None:
    growing = content(*[100.0 + 0.2 * n for n in range(10)])
    assert not verdict(growing)
    assert "grown by 1.6 MB" in summary(growing)[1]
    assert summary(growing)[-1] == "**FAILED**"


def test_a_checkpoint_too_many_is_not() -> None:
    assert verdict(content(*[100.0] * 10))
    assert not verdict(content(*[100.0] * 10, most_checkpoints=4))


def test_the_report_has_long_runs(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    main(["--frames", "20480", "--interval", "1024", "--results", str(results)])
    assert json.loads((results / "long_run.json").read_text())["frames"] == 20_480
    text = (tmp_path / "RESULTS.md").read_text()
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == ["# Speed", "# Memory and disk", "## long-run"]


def test_too_few_saves_to_say_anything_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--frames", "2048", "--results", str(tmp_path)])
    assert "expected an interval of at least 1,024 frames" in capsys.readouterr().err
