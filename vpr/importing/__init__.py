"""Photos, drives and published sets as people have them -> a data set of this pipeline."""
