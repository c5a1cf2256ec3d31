"""Export to other runtimes, and packing of runs."""
