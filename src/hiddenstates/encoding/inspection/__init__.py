"""What can be seen of an encoder, its states and its tokenizer without a search."""
