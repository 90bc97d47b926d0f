"""`python -m vpr reproduce`: a published method by a published protocol."""
