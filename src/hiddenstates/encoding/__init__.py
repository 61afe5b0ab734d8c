"""From texts and images to hidden states, and from hidden states to embeddings."""
