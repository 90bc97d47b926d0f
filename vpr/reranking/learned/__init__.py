"""What the learned matchers share: networks that find, describe and match local features."""
