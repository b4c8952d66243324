"""The inner loops, one case each: ``pytest benchmarks/micro`` times them, ``python -m benchmarks.micro`` compares."""
