"""The explorer: ask a question, change what makes the embedding, and see the ranking move."""
