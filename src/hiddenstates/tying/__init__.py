"""Which embeddings are one and the same tensor, what their values do in training, and what tying is good for."""
