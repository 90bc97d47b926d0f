"""The prepared set: indices, images and positives."""
