"""GGUF files in: read, unpacked, and made model folders with the ids of their own rules."""
