"""Local features -> descriptor: one file for each value of `finetune.aggregator`."""
