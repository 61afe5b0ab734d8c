"""Passages, the vectors that an exported embedding gives them, and an index of both in one folder that answers."""
