"""Commands that a person types: `python -m vpr COMMAND`."""
