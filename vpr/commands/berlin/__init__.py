"""`python -m vpr berlin`: the challenge's baseline in one command."""
