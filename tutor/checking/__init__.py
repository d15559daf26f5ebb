"""Judging a learner's derivation: run it on values, compare, say where it diverges and why."""
