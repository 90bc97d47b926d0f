"""A stage's terminal: command line, signals, messages, progress. Results do not depend on it."""
