"""The built-in loop: optimisation, metrics, run directories."""
