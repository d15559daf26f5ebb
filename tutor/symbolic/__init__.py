"""SymPy only: expressions, index calculus, derivations. Nothing here imports torch."""
