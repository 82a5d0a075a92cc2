"""Text to `Spec`: reading, schema, expansion. Imports no torch."""
