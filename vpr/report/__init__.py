"""Pages to look at, with their templates."""
