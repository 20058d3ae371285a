import os
import subprocess
import sys

import pytest
from toys import make_trainer

from hookrl.hooks import KeepFreedMemory, freed_memory

FAULTS = """
import resource, sys, torch
from hookrl.hooks.freed_memory import keep_freed_memory

torch.set_num_threads(1)
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for step in range(60):
    if step == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    # 48 MiB, 12,288 pages: more than malloc takes from its heap by itself.
    torch.ones(12 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_tensors_reuse_memory_that_was_freed():
    def faults(what):
        run = subprocess.run(
            [sys.executable, "-c", FAULTS, what],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            stdout=subprocess.PIPE,
        )
        return int(run.stdout)

    assert faults("default") > 16_384
    assert faults("keep") < 1_000


def test_the_allocator_is_told_when_training_starts(monkeypatch):
    told = []
    monkeypatch.setattr(freed_memory, "keep_freed_memory", lambda: told.append(True))
    trainer = make_trainer(1)
    KeepFreedMemory().register(trainer)
    assert not told
    trainer.train()
    assert told == [True]
