"""Encoders, one file for each value of `trunk.encoder`."""
