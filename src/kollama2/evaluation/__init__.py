"""Evaluation: one suite for every model, per-item records, paired statistics."""
