"""What pages share: a map, and pictures of matching points."""
