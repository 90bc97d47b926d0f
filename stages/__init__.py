"""DVC stages: each module reads files, calls the library and writes files."""
