"""One file per way of showing; each reads finished results and computes nothing."""
