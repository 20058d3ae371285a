"""A run that is killed again and again ends with the bits of one that never was.

This is the short form of ``faults.long``: one run of each algorithm, two kills each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from faults.kills import Run, check_chain, check_killed, check_tidy, digest, refer
from faults.nursery import Event, Nursery, nursery
from faults.recording import QuickDisk

from hookrl.checkpoints import SingleCheckpoint, encode
from hookrl.testing import tiny_trainer

CHAINS = [
    # Before the first checkpoint, then in the middle.
    (Run("ppo", "run directory", "torch", background=True), [0.4, 7.3]),
    (Run("dqn", "single path", "torchsnapshot", background=False), [3.6, 9.8]),
    # In the middle, then while the checkpoint is loaded.
    (Run("sac", "run directory", "torchsnapshot", background=True), [5.9, -0.4]),
]


@pytest.fixture(scope="module")
def processes() -> Iterator[Nursery]:
    with nursery() as found:
        yield found


@pytest.mark.parametrize(("run", "moments"), CHAINS, ids=str)
def test_kills_change_nothing(
    run: Run, moments: list[float], processes: Nursery, folder: Path
) -> None:
    reference = refer(processes, run, folder / "reference")
    killed = check_chain(processes, run, reference, moments, folder / "chain")
    assert killed.kills == len(moments)


# ---------------------------------------------------------------- the harness itself

RUN = Run("dqn", "single path", background=False)


def save(folder: Path, frames: int, told: int | None = None) -> None:
    counters = {"collected_frames": frames, "last_save": frames, "optim_steps": 1}
    about = {"frames": frames if told is None else told, "optim_steps": 1}
    place = SingleCheckpoint(folder / "state", QuickDisk())
    place.write(encode({"counters": counters}), "torch", about)


def events(**values: int) -> list[Event]:
    return [Event(0.0, what, value) for what, value in values.items()]


def test_the_last_checkpoint_and_one_that_was_being_written_are_accepted(folder: Path) -> None:
    assert check_killed(RUN, None, [], folder) is None
    save(folder, 28)
    assert check_killed(RUN, None, events(begun=28, saved=28, batch=56), folder) == 28
    assert check_killed(RUN, None, events(begun=28, batch=28), folder) == 28
    assert check_killed(RUN, 28, events(begun=56, batch=56), folder) == 28
    assert check_killed(RUN, 28, [], folder) == 28


def test_a_checkpoint_that_is_not_there_would_be_found_out(folder: Path) -> None:
    with pytest.raises(AssertionError, match="found None, saved 28"):
        check_killed(RUN, None, events(begun=28, saved=28), folder)


def test_a_checkpoint_that_is_too_old_would_be_found_out(folder: Path) -> None:
    save(folder, 28)
    with pytest.raises(AssertionError, match="found 28, saved 56, begun 56"):
        check_killed(RUN, None, events(begun=56, saved=56), folder)
    with pytest.raises(AssertionError, match="lost 42 frames, expected 28 at most"):
        check_killed(RUN, None, events(begun=28, saved=28, batch=70), folder)


def test_a_manifest_that_says_something_else_would_be_found_out(folder: Path) -> None:
    save(folder, 28, told=56)
    with pytest.raises(AssertionError, match=r"\(28, 28\) in a state of 56 frames"):
        check_killed(RUN, None, events(begun=56, saved=56), folder)


def test_half_a_checkpoint_beside_a_whole_one_would_be_found_out(folder: Path) -> None:
    save(folder, 28)
    (folder / ".state.versions" / "000000000002").mkdir()
    with pytest.raises(ValueError, match=r"lacks its manifest\.json"):
        check_killed(RUN, None, events(begun=28, saved=28), folder)


def test_what_is_left_lying_about_would_be_found_out(folder: Path) -> None:
    save(folder, 28)
    check_tidy(RUN, folder)
    (folder / ".state.link").touch()
    with pytest.raises(AssertionError, match=r"{'\.state\.link'} is left"):
        check_tidy(RUN, folder)


def test_one_bit_would_be_found_out() -> None:
    trainer = tiny_trainer()
    before = digest(trainer, {})
    assert digest(trainer, {}) == before
    weights = next(trainer.loss_module.parameters()).detach()
    weights.view(torch.int32).view(-1)[0] ^= 1
    after = digest(trainer, {})
    assert [name for name in before if before[name] != after[name]] == ["loss_module"]
