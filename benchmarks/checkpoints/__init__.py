"""What `benchmarks.checkpoint` measures, and with what."""
