"""Watching a run while it is made: what it publishes of itself, and how other processes read that."""
