"""Matchers, one file for each value of `rerank.method`."""
