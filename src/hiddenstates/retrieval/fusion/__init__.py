"""Several runs made one, and the systems that answer a question with an image that way."""
