"""For tests of one's own hooks: the smallest trainer there is, and what it is made of.

`hookrl.hooks.check_hook` runs a whole list of checks with it.
"""

from hookrl.testing.tiny import MemoryLogger, TinyCollector, TinyLoss, tiny_batch, tiny_trainer

__all__ = ["MemoryLogger", "TinyCollector", "TinyLoss", "tiny_batch", "tiny_trainer"]
