"""`python -m vpr serve`: where photos were taken, answered over HTTP."""
