"""Arena: people, or a judge model, compare the answers of a study's recipes blindly."""
