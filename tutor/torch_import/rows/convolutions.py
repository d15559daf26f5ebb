"""Convolution, pooling, resizing: windows over an axis."""
