"""How a stage meets its terminal: command line, signals, messages, progress; no bits of it."""
