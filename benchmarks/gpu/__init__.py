"""hookrl on an NVIDIA GPU, eager, compiled, and as CUDA graphs: ``python -m benchmarks.gpu``."""
