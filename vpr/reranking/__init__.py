"""Rankings verified by local features."""
