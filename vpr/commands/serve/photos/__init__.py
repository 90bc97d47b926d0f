"""Photos on their way into the service: read within limits, decoded by processes of their own."""
