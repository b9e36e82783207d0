"""Vocabulary: learn Korean pieces, add them to a tokenizer, audit it, start their embeddings."""
