"""The miniature: a small bilingual world, its corpora, its suite and its English-only base model."""
