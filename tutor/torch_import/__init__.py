"""Bring your own PyTorch: a module or a function becomes an exercise (`tutor.from_torch`)."""
