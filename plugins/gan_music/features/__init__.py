"""Vectors that stand for phrases."""
