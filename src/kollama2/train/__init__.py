"""Training: load a model by method (full, LoRA, QLoRA) and run one loop for CPT and SFT."""
