"""Photo -> local features -> descriptor."""
