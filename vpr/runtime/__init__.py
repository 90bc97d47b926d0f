"""How a stage reads parameters, writes its outs and resumes."""
