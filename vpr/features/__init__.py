"""Images -> local features of the frozen layers, stored once."""
