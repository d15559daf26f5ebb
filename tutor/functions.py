"""Functions an exercise may use beside SymPy's own: `from tutor.functions import sigmoid`."""

from tutor.symbolic.functions import expm1, gelu, log1p, relu, sigmoid, silu, softplus

__all__ = ["expm1", "gelu", "log1p", "relu", "sigmoid", "silu", "softplus"]
