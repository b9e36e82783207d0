"""Facts of written Korean that every other part may ask for: Hangul, final sounds, particles."""
