"""Epochs of mining and losses."""
