"""What an encoder reads: rows of texts and images, with prompts, in batches."""
