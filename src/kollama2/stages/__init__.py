"""Stages: the only place where the engine and the domain meet."""
