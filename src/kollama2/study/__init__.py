"""A study: axes give recipes, recipes and seeds give cells; YAML in, stages and a lock out."""
