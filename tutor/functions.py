"""Functions an exercise may use beside SymPy's own: `from tutor.functions import sigmoid`."""

from tutor.symbolic.functions import clamp, expm1, gelu, log1p, relu, sigmoid, silu, softplus

__all__ = ["clamp", "expm1", "gelu", "log1p", "relu", "sigmoid", "silu", "softplus"]
