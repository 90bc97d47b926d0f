"""Descriptors -> rankings."""
