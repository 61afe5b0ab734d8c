"""Tokenizers, trained on texts of one's own."""
