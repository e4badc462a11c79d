"""Benchmarks: each script prints figures and ratios of one question, measured side by side in one run."""
