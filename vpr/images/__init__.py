"""Image files and what is in them: kinds, pixels, tar shards, small pictures."""
