"""Visual place recognition: one room per idea, arrays and tensors in, arrays and tensors out."""
