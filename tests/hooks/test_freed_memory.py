import os
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from toys import make_trainer
from hookrl.hooks import KeepFreedMemory

torch.set_num_threads(1)
trainer = make_trainer(1)
if sys.argv[1] == "keep":
    KeepFreedMemory().register(trainer)
trainer.train()
for step in range(110):
    if step == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(2**20)  # 4 MiB, 1,024 pages
        torch.ones(2**20) + torch.ones(2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_tensors_of_the_same_size_reuse_memory_that_was_freed():
    def faults(what):
        command = [sys.executable, "-c", FAULTS, what]
        path = os.pathsep.join(sys.path)
        run = subprocess.run(
            command, env=os.environ | {"PYTHONPATH": path}, check=True, stdout=subprocess.PIPE
        )
        return int(run.stdout)

    assert faults("keep") < faults("default") / 10
