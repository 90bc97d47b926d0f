"""MATLAB files of version 5, read by hand: bounded in memory and time whatever they claim."""
