"""From hidden states to embeddings: pooled, whitened, and what each costs."""
