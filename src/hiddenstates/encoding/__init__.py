"""From texts to hidden states, and from hidden states to embeddings."""
