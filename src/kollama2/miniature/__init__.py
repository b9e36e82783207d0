"""The miniature: a small bilingual world, its corpora, its suite, its base model."""
