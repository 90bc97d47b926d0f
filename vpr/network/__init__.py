"""Local features -> descriptor."""
