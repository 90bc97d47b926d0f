"""How a stage starts, reads parameters, writes its outs and resumes."""
