"""How cost grows with what there is more of: ``python -m benchmarks.scaling [AXIS ...]``."""
