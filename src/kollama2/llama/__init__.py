"""The Llama family's own file formats: checkpoints from elsewhere become Hugging Face folders."""
