"""`python -m vpr score`: recall of published predictions."""
