"""Tokenizers: trained on texts of one's own, and audited, whoever trained them."""
